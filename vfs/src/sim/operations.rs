//! The operations of a simulated disk, in order: counted, recorded, failed on demand.

use std::{fmt, io};

use super::fault::{Fault, FaultKind, FaultOp, FaultPlan};

/// The part of an operation's line in the trace that follows its name.
#[derive(Clone, Debug)]
pub(super) enum Detail {
    /// Nothing more.
    None,
    /// Bytes `offset..offset + count`.
    Range {
        /// First byte.
        offset: u64,
        /// How many.
        count: u64,
    },
    /// A length in bytes.
    Len(u64),
    /// Another name.
    To(String),
}

/// One operation.
#[derive(Clone, Debug)]
struct TracedOperation {
    /// The call.
    label: &'static str,
    /// The name that it was called on.
    name: String,
    /// The call's argument.
    detail: Detail,
    /// The planned fault that hit it.
    fault: Option<FaultKind>,
    /// Whether it would change what a crash leaves.
    changes: bool,
}

/// Counts operations and decides which fail.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// The operations so far. The position is the operation's number.
    steps: Vec<TracedOperation>,
    /// From this number on there is no power.
    cut_at: Option<u64>,
    /// The planned faults.
    plan: FaultPlan,
}

impl Operations {
    /// Number of operations so far.
    pub(super) fn op_count(&self) -> u64 {
        u64::try_from(self.steps.len()).unwrap_or(u64::MAX)
    }

    /// Plans the end of power.
    pub(super) fn cut_at(&mut self, op: u64) {
        self.cut_at = Some(op);
    }

    /// Whether there is no power any more.
    pub(super) fn is_cut(&self) -> bool {
        self.cut_at.is_some_and(|op| op <= self.op_count())
    }

    /// Plans a fault.
    pub(super) fn plan(&mut self, fault: Fault) {
        self.plan.add(fault);
    }

    /// Takes back what is planned.
    pub(super) fn forget(&mut self) {
        self.plan = FaultPlan::default();
    }

    /// Starts an operation: an error without power, otherwise the fault that hits it.
    pub(super) fn start(
        &mut self,
        (label, op): (&'static str, FaultOp),
        name: &str,
        detail: Detail,
    ) -> io::Result<Option<FaultKind>> {
        if self.is_cut() {
            return Err(io::Error::other("the power is cut"));
        }
        let fault = self.plan.strike(op, name);
        let changes = !matches!(op, FaultOp::Read | FaultOp::Look) && label != "open";
        self.steps.push(TracedOperation { label, name: name.to_owned(), detail, fault, changes });
        Ok(fault)
    }

    /// As [`Operations::start`], for operations that a fault leaves without effect.
    pub(super) fn pass(
        &mut self,
        call: (&'static str, FaultOp),
        name: &str,
        detail: Detail,
    ) -> io::Result<()> {
        match self.start(call, name, detail)? {
            None => Ok(()),
            Some(fault) if fault.is_continued() && call.1 != FaultOp::SyncDir => Ok(()),
            Some(fault) => Err(fault.error()),
        }
    }

    /// The trace as text.
    pub(super) fn lines(&self) -> Vec<String> {
        self.steps.iter().enumerate().map(|(number, step)| format!("{number} {step}")).collect()
    }

    /// The numbers of the operations that change what a crash leaves.
    pub(super) fn changing(&self) -> Vec<u64> {
        (0..).zip(&self.steps).filter(|(_, step)| step.changes).map(|(number, _)| number).collect()
    }
}

impl fmt::Display for TracedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "." } else { &self.name };
        write!(f, "{} {name}", self.label)?;
        match &self.detail {
            Detail::None => {}
            Detail::Range { offset, count } => write!(f, " {offset}+{count}")?,
            Detail::Len(len) => write!(f, " {len}")?,
            Detail::To(to) => write!(f, " {to}")?,
        }
        match self.fault {
            Some(fault) => write!(f, " ({})", fault.label()),
            None => Ok(()),
        }
    }
}
