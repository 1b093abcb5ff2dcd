//! Which steps of open deliveries the hub has yet to hear of.
//!
//! The store knows what is done; here is only what was told, and forgetting it costs a repetition.

use std::collections::BTreeMap;

use onceward::inbox::{Delivery, StoredDelivery, WindowId};
use onceward::sync::Failure;
use onceward::{ErrorKind, Lsn, Result, Store};
use serde::Deserialize;

use super::offer::{has_code, is_window_over};
use crate::dialect::{
    Object, Request, Response, failure_of, not_recognised, percent_encoded, step_request,
};

/// Deliveries that are read at once.
const PAGE: usize = 256;
/// Refusals after which no more steps of a delivery are told.
const POINTLESS: [(u16, &str); 2] = [(404, "DELIVERY_NOT_FOUND"), (422, "STEP_INVALID")];

/// A delivery of a window that is open here.
#[derive(Clone, Debug)]
struct OpenHere {
    delivery_id: String,
    window: WindowId,
    steps: u32,
    told: u32,
}

/// A step that is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DueStep {
    /// The delivery here.
    pub(super) lsn: Lsn,
    /// The last step that is done.
    pub(super) step: u32,
    delivery_id: String,
    window: WindowId,
}

/// What the hub says to a step.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum StepSaid {
    /// It knows of this step, and of those before it.
    Recorded(u32),
    /// The whole is done, here or elsewhere.
    Done,
    /// The window is over.
    WindowOver,
    /// It takes no steps of this delivery.
    Pointless,
}

/// The answer to a step.
#[derive(Deserialize)]
struct StepDocument {
    delivery_id: Option<String>,
    status: String,
    step: Option<u32>,
}

/// The open deliveries of a user in windows.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenSteps {
    open: BTreeMap<Lsn, OpenHere>,
}

impl OpenSteps {
    /// Those that the store has; of none it is known what was told.
    ///
    /// # Errors
    ///
    /// The store's: one cannot be read.
    pub(super) fn of_store(store: &Store, user: &str) -> Result<Self> {
        let (mut steps, mut after) = (Self::default(), None);
        loop {
            let page = store.inbox().list(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(steps) };
            after = Some(last.lsn);
            for StoredDelivery { lsn, delivery, .. } in page {
                if delivery.within().is_some_and(|within| within.subject() == user) {
                    steps.note(lsn, &delivery, 0);
                }
            }
        }
    }

    /// One is open, and the hub knows of this many steps of it.
    pub(super) fn note(&mut self, lsn: Lsn, delivery: &Delivery, told: u32) {
        let Some(within) = delivery.within() else { return };
        let here = OpenHere {
            delivery_id: within.delivery_id().to_owned(),
            window: within.window().clone(),
            steps: delivery.steps().unwrap_or(0),
            told,
        };
        let open = self.open.entry(lsn).or_insert(here);
        open.told = open.told.max(told);
    }

    /// The hub knows of this many steps of one; `u32::MAX`: no more are told.
    pub(super) fn told(&mut self, lsn: Lsn, step: u32) {
        if let Some(open) = self.open.get_mut(&lsn) {
            open.told = open.told.max(step);
        }
    }

    /// Windows other than this one in which something is open.
    pub(super) fn windows_besides(&self, window: &WindowId) -> Vec<WindowId> {
        let mut others: Vec<WindowId> = self
            .open
            .values()
            .map(|open| &open.window)
            .filter(|it| *it != window)
            .cloned()
            .collect();
        others.sort();
        others.dedup();
        others
    }

    /// A step that is done here and that the hub does not know of. What is not open any more is forgotten.
    ///
    /// The last step is not told as one: with it the hub would take the whole for done, and that says the ack.
    ///
    /// # Errors
    ///
    /// The store's.
    pub(super) fn due(&mut self, store: &Store) -> Result<Option<DueStep>> {
        let (mut due, mut over) = (None, Vec::new());
        for (lsn, open) in &self.open {
            let next = match store.inbox().resume(*lsn) {
                Ok(next) => next,
                Err(found) if matches!(found.kind(), ErrorKind::Fenced | ErrorKind::NotFound) => {
                    over.push(*lsn);
                    continue;
                }
                Err(found) => return Err(found),
            };
            let done = next.map_or(open.steps, |next| next.saturating_sub(1));
            let step = done.min(open.steps.saturating_sub(1));
            if step > open.told {
                let (delivery_id, window) = (open.delivery_id.clone(), open.window.clone());
                due = Some(DueStep { lsn: *lsn, step, delivery_id, window });
                break;
            }
        }
        for lsn in over {
            self.open.remove(&lsn);
        }
        Ok(due)
    }
}

impl DueStep {
    /// The window that it is of.
    pub(super) fn window(&self) -> &WindowId {
        &self.window
    }

    /// The request that tells it.
    pub(super) fn request(&self, device: &str) -> Request {
        let id = percent_encoded(&self.delivery_id);
        step_request(&id, (self.window.as_str(), device), Some(self.step))
    }

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// The answer says nothing of the step.
    pub(super) fn read(&self, response: &Response) -> std::result::Result<StepSaid, Failure> {
        if response.status != 200 {
            return match response {
                _ if is_window_over(response) => Ok(StepSaid::WindowOver),
                _ if POINTLESS.iter().any(|it| has_code(response, *it)) => Ok(StepSaid::Pointless),
                _ => Err(failure_of(response)),
            };
        }
        let Object::<StepDocument>(found) =
            serde_json::from_slice(&response.body).map_err(|found| {
                not_recognised(response, &format!("not the documented answer ({found})"))
            })?;
        let is_it = found.delivery_id.as_ref() == Some(&self.delivery_id);
        match (found.status.as_str(), is_it, found.step) {
            ("partial", true, Some(step)) if step >= self.step => Ok(StepSaid::Recorded(step)),
            ("done", true, _) => Ok(StepSaid::Done),
            ("late", true, _) => Ok(StepSaid::WindowOver),
            ("late", false, _) if found.delivery_id.is_none() => Ok(StepSaid::WindowOver),
            _ => {
                let what = format!("it does not say what is recorded of {}", self.delivery_id);
                Err(not_recognised(response, &what))
            }
        }
    }
}
