//! Fences and imports of a segment that is to go.

use onceward_wal::Frame;

use super::{Carry, Harvest};
use crate::frames::leaving::{Fence, Import};
use crate::frames::{KIND_FENCE, KIND_IMPORT, codec};
use crate::view::{Located, View};

impl Harvest {
    /// Keeps the newest fence frame, whatever it says, and the imports that are remembered.
    pub(super) fn take_leaving(&mut self, view: &View, frame: &Frame<'_>, at: Located) {
        if !view.leaving.has(&at) {
            return;
        }
        let named = |number: u64| if number == 0 { at.lsn } else { number };
        let (of, body) = match frame.kind {
            KIND_FENCE => {
                let Some(fence) = codec::decode::<Fence>(frame.body) else { return };
                let number = named(fence.number);
                (number, codec::encode(&Fence { number, ..fence }))
            }
            KIND_IMPORT => {
                let Some(import) = codec::decode::<Import>(frame.body) else { return };
                let number = named(import.number);
                (number, codec::encode(&Import { number, ..import }))
            }
            _ => return,
        };
        self.push(Carry::Control { kind: frame.kind, body, of });
    }
}
