//! The comparison: hub and terminal, purchase by purchase. Knows nothing of how the stores came about.

use std::collections::BTreeMap;

use onceward::config::Create;
use onceward::{Amount, Config, Key, Scope, State, Store};
use onceward_hub::LedgerEntry;

use super::{
    dialect::FORLOY_MONEY,
    purchases::{Purchase, purchases},
    record::Captured,
    site::{self, Run, Site},
};
use crate::exit::Failure;

/// What the comparison found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Purchases in the terminal's record.
    pub(super) captured: u64,
    /// Of those, the ones that the terminal knows to be taken by the hub.
    pub(super) accepted: u64,
    /// Of those that were in review, the ones that the terminal knows to be taken by the hub.
    pub(super) resolved: u64,
    /// Purchases of which the hub's answer was that it had them before.
    pub(super) duplicates_absorbed: u64,
    /// Fewest effects of one purchase in the hub's ledger.
    pub(super) effects_min: u64,
    /// Most effects of one purchase in the hub's ledger.
    pub(super) effects_max: u64,
    /// Sum of the purchases that the terminal knows to be taken.
    pub(super) amount_terminal: Amount,
    /// Sum of all effects in the hub's ledger.
    pub(super) amount_hub: Amount,
    /// Everything that is not as it must be.
    pub(super) differences: Vec<String>,
}

/// Compares the two stores of a site.
///
/// The terminal's side is its record and the states in its store; the hub's side is its ledger, which is written where
/// a purchase is applied, and not its index of keys.
///
/// # Errors
///
/// One of the stores cannot be read at all. What can be read and is wrong is a difference.
pub(super) fn compare(site: &Site, run: &Run) -> Result<Findings, Failure> {
    let record: Vec<Captured> = site::read_lines(&site.captured())?;
    let ledger = onceward_hub::ledger(&site.hub(), TENANT)
        .map_err(|error| Failure::failed(format!("cannot read the hub's ledger: {error}")))?;
    let store = Store::open(site.terminal(), Config::new().with_create(Create::Never))
        .map_err(|error| Failure::engine("cannot open the terminal's store", &error))?;
    let source = purchases(Some(run.rows), FORLOY_MONEY)?;

    let mut findings = Findings { effects_min: u64::MAX, ..Findings::default() };
    findings.compare_record(&source, &record);
    let mut effects = findings.sort(&ledger);
    for captured in &record {
        let entries = effects.remove(captured.key.as_str()).unwrap_or_default();
        findings.compare_purchase(captured, &entries, &store, run)?;
    }
    for stranger in effects.keys() {
        findings.differ(format!("{stranger}: in the hub's ledger, but never captured"));
    }
    if record.is_empty() {
        findings.effects_min = 0;
    }
    store.close().map_err(|error| Failure::engine("cannot close the terminal's store", &error))?;
    findings.compare_totals(&source);
    Ok(findings)
}

impl Findings {
    /// Notes a difference.
    fn differ(&mut self, what: String) {
        self.differences.push(what);
    }

    /// The record against the purchases themselves: the same keys, the same money.
    fn compare_record(&mut self, source: &[Purchase], record: &[Captured]) {
        let mut held: BTreeMap<&str, Vec<&Captured>> = BTreeMap::new();
        for captured in record {
            held.entry(&captured.key).or_default().push(captured);
        }
        for purchase in source {
            let key = &purchase.key;
            match held.remove(key.as_str()).as_deref() {
                None => self.differ(format!("{key}: not in the terminal's record")),
                Some([one]) if one.amount.as_deref() == Some(&purchase.amount.to_string()) => {}
                Some([one]) => {
                    let amount = one.amount.as_deref().unwrap_or("no amount");
                    let spent = purchase.amount;
                    self.differ(format!(
                        "{key}: the terminal recorded {amount}, spent was {spent}"
                    ));
                }
                Some(_) => self.differ(format!("{key}: more than once in the terminal's record")),
            }
        }
        for stranger in held.keys() {
            self.differ(format!("{stranger}: in the terminal's record, but not in the data"));
        }
    }

    /// The ledger's entries by key, and their sum.
    fn sort<'l>(&mut self, ledger: &'l [LedgerEntry]) -> BTreeMap<&'l str, Vec<&'l LedgerEntry>> {
        let mut effects: BTreeMap<&str, Vec<&LedgerEntry>> = BTreeMap::new();
        for entry in ledger {
            effects.entry(entry.key.as_str()).or_default().push(entry);
            let amount = entry.amount.unwrap_or_default();
            match self.amount_hub.checked_add(amount) {
                Some(sum) => self.amount_hub = sum,
                None => self.differ("the sum of the hub's ledger is too large".to_owned()),
            }
        }
        effects
    }

    /// One purchase on both sides.
    fn compare_purchase(
        &mut self,
        captured: &Captured,
        entries: &[&LedgerEntry],
        store: &Store,
        run: &Run,
    ) -> Result<(), Failure> {
        let key = &captured.key;
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.captured += 1;
        self.effects_min = self.effects_min.min(count);
        self.effects_max = self.effects_max.max(count);
        if count != 1 {
            self.differ(format!("{key}: {count} effects at the hub"));
        }
        let unreadable =
            |error| Failure::engine(&format!("{key}: cannot ask the terminal"), &error);
        let scope = Scope::new(&captured.scope).map_err(unreadable)?;
        let outcome =
            Key::new(key).and_then(|key| store.outcome(&scope, &key)).map_err(unreadable)?;
        let recorded = captured.amount.as_deref().map(str::parse::<Amount>).transpose();
        let recorded = recorded.map_err(unreadable)?;
        for entry in entries {
            let scope = &entry.scope;
            if run.dialect.hub_scope.as_ref().is_some_and(|expected| expected != scope) {
                self.differ(format!("{key}: an effect in scope {scope} at the hub"));
            }
            if entry.amount != recorded {
                let (ours, theirs) = (shown(recorded), shown(entry.amount));
                self.differ(format!("{key}: {ours} at the terminal, {theirs} at the hub"));
            }
        }
        if !matches!(outcome.state, State::Accepted | State::Duplicate) {
            self.differ(format!("{key}: {} at the terminal", outcome.state));
            return Ok(());
        }
        self.accepted += 1;
        self.duplicates_absorbed += u64::from(outcome.state == State::Duplicate);
        self.resolved += u64::from(run.reviewed.contains(key));
        match self.amount_terminal.checked_add(recorded.unwrap_or_default()) {
            Some(sum) => self.amount_terminal = sum,
            None => self.differ("the sum of the terminal's record is too large".to_owned()),
        }
        if !run.dialect.has_receipts {
            return Ok(());
        }
        let receipt = outcome.receipt.as_ref().map(|receipt| transaction(receipt.as_bytes()));
        for theirs in entries.iter().filter_map(|entry| entry.receipt.as_deref()) {
            if receipt != Some(transaction(theirs.as_bytes())) {
                self.differ(format!("{key}: the terminal's receipt is not that of the effect"));
            }
        }
        Ok(())
    }

    /// Both sums against the data's.
    fn compare_totals(&mut self, source: &[Purchase]) {
        let spent = source
            .iter()
            .try_fold(Amount::default(), |sum, purchase| sum.checked_add(purchase.amount));
        for (side, amount) in [("terminal", self.amount_terminal), ("hub", self.amount_hub)] {
            if Some(amount) != spent {
                let spent = shown(spent);
                self.differ(format!("in all {amount} at the {side}, spent was {spent}"));
            }
        }
    }
}

/// The transaction that a receipt names; the hub keeps the card's type behind it.
fn transaction(receipt: &[u8]) -> &[u8] {
    receipt.split(|byte| *byte == b'/').next().unwrap_or_default()
}

/// An amount that may be missing.
fn shown(amount: Option<Amount>) -> String {
    amount.map_or_else(|| "no amount".to_owned(), |amount| amount.to_string())
}

/// The hub's tenant that the demo uploads to.
const TENANT: &str = "default";
