//! The bytes before an event's key: mostly one, seldom more than a few.

/// Bytes that need no memory of their own.
const SHORT_BYTES: usize = 46;

/// A few bytes, in place as long as they are few.
#[derive(Debug)]
pub(super) enum EventHead {
    Short { bytes: [u8; SHORT_BYTES], count: usize },
    Long(Vec<u8>),
}

impl EventHead {
    /// An empty head.
    pub(super) fn new() -> Self {
        Self::Short { bytes: [0; SHORT_BYTES], count: 0 }
    }

    /// Adds a byte.
    pub(super) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// Adds bytes at the end.
    pub(super) fn extend(&mut self, more: &[u8]) {
        match self {
            Self::Short { bytes, count } => match bytes.get_mut(*count..*count + more.len()) {
                Some(room) => {
                    room.copy_from_slice(more);
                    *count += more.len();
                }
                None => *self = Self::Long([self.as_slice(), more].concat()),
            },
            Self::Long(bytes) => bytes.extend_from_slice(more),
        }
    }

    /// All of them.
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short { bytes, count } => bytes.get(..*count).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_added_however_much() {
        for step in [1, 3, SHORT_BYTES, SHORT_BYTES + 1] {
            let (mut head, mut all) = (EventHead::new(), Vec::new());
            for number in 0..20_u8 {
                head.push(number);
                head.extend(&vec![number; step]);
                all.push(number);
                all.extend(vec![number; step]);
                assert_eq!(head.as_slice(), all, "{number} times {step}");
            }
        }
    }
}
