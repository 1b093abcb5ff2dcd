//! What the dialect of a demo makes different.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::{args::DialectName, command::dialect::items_max, exit::Failure};

/// The dialect of a demo.
#[derive(Debug)]
pub(super) struct DemoDialect {
    /// As it was asked for.
    name: DialectName,
    /// Most purchases in a request.
    items_max: u64,
}

impl DemoDialect {
    /// The dialect of that name.
    ///
    /// # Errors
    ///
    /// Its file describes none or cannot be read, or it is one that the demo's hub does not speak.
    pub(super) fn new(name: &DialectName) -> Result<Self, Failure> {
        let items_max = u64::try_from(items_max(name)?).unwrap_or(u64::MAX);
        Ok(Self { name: name.clone(), items_max })
    }

    /// How the uploader is told of it.
    #[must_use]
    pub(super) fn argument(&self) -> OsString {
        self.name.to_argument()
    }

    /// How many purchases one request carries at most.
    #[must_use]
    pub(super) fn items_max(&self) -> u64 {
        self.items_max
    }

    /// The members of a purchase's payload that hold the money.
    #[must_use]
    pub(super) fn money_members(&self) -> &'static [&'static str] {
        match self.name {
            // Where the hub's ledger has an amount from.
            DialectName::Wede | DialectName::Http(_) => &["purchase_amount", "amount"],
            _ => FORLOY_MONEY,
        }
    }

    /// What the comparison has to know.
    #[must_use]
    pub(super) fn particulars(&self) -> Particulars {
        let forloy = Particulars::default();
        let wede =
            Particulars { has_receipts: false, has_duplicates: false, ..Particulars::default() };
        let scope = |scope: &str| Some(scope.to_owned());
        match self.name {
            DialectName::Wede => Particulars { hub_scope: scope("wede"), ..wede },
            // It leads to whichever route of the hub the file says.
            DialectName::Http(_) => Particulars { hub_scope: None, ..wede },
            DialectName::Onceward => Particulars {
                hub_scope: scope("s_default"),
                has_receipts: false,
                has_refusals: false,
                ..forloy
            },
            _ => forloy,
        }
    }
}

/// What a dialect has and another one has not. Those of Forloy unless they say otherwise.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Particulars {
    /// The scope of the effects in the hub's ledger, if it is known.
    pub(super) hub_scope: Option<String>,
    /// Whether an answer brings the receipt of each purchase.
    pub(super) has_receipts: bool,
    /// Whether what comes again is answered as had before, purchase by purchase. Wede's hub gives the answer again that
    /// the batch got first.
    pub(super) has_duplicates: bool,
    /// Whether the hub looks at cards, and refuses purchases with bad ones.
    pub(super) has_refusals: bool,
}

impl Default for Particulars {
    fn default() -> Self {
        Self {
            hub_scope: Some("forloy".to_owned()),
            has_receipts: true,
            has_duplicates: true,
            has_refusals: true,
        }
    }
}

/// The member of Forloy's purchases that holds the money.
pub(super) const FORLOY_MONEY: &[&str] = &["purchase_amount"];
