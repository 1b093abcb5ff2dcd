//! Which links are up, and which addresses they have: only what was not so before is news.
//!
//! The kernel tells of a link at any change of it, and of an address again whenever a router prolongs it.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Fact, LinkAddress};

/// Most links, and most addresses, that are remembered: those beyond are news each time.
const REMEMBERED_MAX: usize = 1024;

/// Which links are up, and which addresses there are.
#[derive(Debug, Default)]
pub(super) struct Known {
    links: BTreeMap<u32, bool>,
    addresses: BTreeSet<LinkAddress>,
}

impl Known {
    /// Applies what was told. Returns whether a link came up or an address was added.
    pub(super) fn apply(&mut self, fact: Fact) -> bool {
        match fact {
            Fact::Link { index, is_up } => {
                let was_up = self.links.get(&index).copied().unwrap_or(false);
                if self.links.len() < REMEMBERED_MAX || self.links.contains_key(&index) {
                    self.links.insert(index, is_up);
                }
                is_up && !was_up
            }
            Fact::LinkGone { index } => {
                self.links.remove(&index);
                self.addresses.retain(|address| address.index != index);
                false
            }
            Fact::Address(address) => {
                if self.addresses.contains(&address) {
                    return false;
                }
                if self.addresses.len() < REMEMBERED_MAX {
                    self.addresses.insert(address);
                }
                true
            }
            Fact::AddressGone(address) => {
                self.addresses.remove(&address);
                false
            }
            Fact::ListEnd => false,
        }
    }

    /// Forgets the addresses: something was told that was not heard.
    pub(super) fn forget_addresses(&mut self) {
        self.addresses.clear();
    }
}
