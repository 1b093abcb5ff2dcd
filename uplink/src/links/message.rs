//! What a datagram of a netlink route socket says of links and addresses. Pure: bytes in, facts out.
//!
//! ```text
//! datagram = message*
//! message  = length u32, kind u16, flags u16, number u32, port u32, body, to a multiple of 4
//! link     = family u8, _, type u16, index u32, flags u32, change u32
//! address  = family u8, prefix u8, flags u8, scope u8, index u32, attribute*
//! attribute = length u16, kind u16, value, to a multiple of 4
//! ```
//!
//! Numbers are in the machine's byte order, for they never leave it. What is cut short, or of a kind that is not known
//! here, says nothing; what follows a message whose length is wrong is not looked at.
//!
//! # Source
//!
//! netlink(7), rtnetlink(7).

/// What a message says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fact {
    /// A link is like this now.
    Link {
        /// Its number.
        index: u32,
        /// Whether something can go over it.
        is_up: bool,
    },
    /// A link is gone.
    LinkGone {
        /// Its number.
        index: u32,
    },
    /// An address is there.
    Address(LinkAddress),
    /// An address is gone.
    AddressGone(LinkAddress),
    /// Whatever was asked for was told.
    ListEnd,
}

/// An address of a link.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct LinkAddress {
    /// The number of the link.
    pub(super) index: u32,
    /// The address: 4 bytes of IPv4, 16 of IPv6.
    pub(super) bytes: Vec<u8>,
}

/// What the messages of a datagram say, in their order.
pub(super) fn facts(datagram: &[u8]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut rest = datagram;
    while let Some((length, kind)) = head(rest) {
        let Some(body) = rest.get(HEAD_BYTES..length) else { break };
        facts.extend(fact(kind, body));
        rest = rest.get(length.next_multiple_of(ALIGN_BYTES)..).unwrap_or_default();
    }
    facts
}

/// Asks for a list of all: of links with [`LIST_LINKS`], of addresses with [`LIST_ADDRESSES`].
pub(super) fn list_request(kind: u16) -> Vec<u8> {
    const REQUEST_AND_DUMP: u16 = 0x301;
    const BYTES: u32 = 32;
    let mut request = Vec::new();
    request.extend(native(BYTES));
    request.extend(native_short(kind));
    request.extend(native_short(REQUEST_AND_DUMP));
    // Number, port, and a body that names neither a family nor a link.
    request.resize(32, 0);
    request
}

/// The length of the first message, head and all, and its kind.
fn head(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(number(bytes, 0)?).ok()?;
    let kind = short(bytes, 4)?;
    (length >= HEAD_BYTES && length <= bytes.len()).then_some((length, kind))
}

fn fact(kind: u16, body: &[u8]) -> Option<Fact> {
    match kind {
        NEW_LINK => {
            let (index, flags) = (number(body, 4)?, number(body, 8)?);
            let is_up = flags & CARRIES == CARRIES;
            (flags & LOOPBACK == 0).then_some(Fact::Link { index, is_up })
        }
        DEL_LINK => Some(Fact::LinkGone { index: number(body, 4)? }),
        NEW_ADDRESS => address(body).map(Fact::Address),
        DEL_ADDRESS => address(body).map(Fact::AddressGone),
        LIST_END => Some(Fact::ListEnd),
        _ => None,
    }
}

/// An address with which others than the link itself can be reached, and that may be used.
fn address(body: &[u8]) -> Option<LinkAddress> {
    let (flags, scope, index) = (*body.get(2)?, *body.get(3)?, number(body, 4)?);
    let (mut local, mut remote, mut flags) = (None, None, u32::from(flags));
    let mut rest = body.get(8..)?;
    while let Some(length) = short(rest, 0).map(usize::from) {
        let (Some(kind), Some(value)) = (short(rest, 2), rest.get(4..length)) else { break };
        match kind {
            REMOTE => remote = Some(value),
            LOCAL => local = Some(value),
            FLAGS => flags = number(value, 0).unwrap_or(flags),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(ALIGN_BYTES)..).unwrap_or_default();
    }
    let bytes = local.or(remote)?.to_vec();
    let is_usable = scope < SCOPE_LINK && flags & TENTATIVE == 0;
    is_usable.then_some(LinkAddress { index, bytes })
}

#[expect(clippy::host_endian_bytes, reason = "the kernel of this machine wrote it")]
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

#[expect(clippy::host_endian_bytes, reason = "the kernel of this machine wrote it")]
fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(field.try_into().ok()?))
}

#[expect(clippy::host_endian_bytes, reason = "the kernel of this machine reads it")]
pub(super) fn native(number: u32) -> [u8; 4] {
    number.to_ne_bytes()
}

#[expect(clippy::host_endian_bytes, reason = "the kernel of this machine reads it")]
pub(super) fn native_short(number: u16) -> [u8; 2] {
    number.to_ne_bytes()
}

/// A message's head.
const HEAD_BYTES: usize = 16;
/// What messages and attributes begin at a multiple of.
const ALIGN_BYTES: usize = 4;

/// `NLMSG_DONE`.
const LIST_END: u16 = 3;
/// `RTM_NEWLINK`.
const NEW_LINK: u16 = 16;
/// `RTM_DELLINK`.
const DEL_LINK: u16 = 17;
/// `RTM_GETLINK`.
pub(super) const LIST_LINKS: u16 = 18;
/// `RTM_NEWADDR`.
const NEW_ADDRESS: u16 = 20;
/// `RTM_DELADDR`.
const DEL_ADDRESS: u16 = 21;
/// `RTM_GETADDR`.
pub(super) const LIST_ADDRESSES: u16 = 22;

/// `IFF_LOOPBACK`.
const LOOPBACK: u32 = 0x8;
/// `IFF_UP`, `IFF_RUNNING` and `IFF_LOWER_UP`: it is switched on, and has a carrier.
const CARRIES: u32 = 0x1 | 0x40 | 0x1_0000;

/// `IFA_ADDRESS`: the address, or that of the other end where [`LOCAL`] is given.
const REMOTE: u16 = 1;
/// `IFA_LOCAL`.
const LOCAL: u16 = 2;
/// `IFA_FLAGS`: more of them than the byte in the head holds.
const FLAGS: u16 = 8;
/// `IFA_F_TENTATIVE`: not to be used before it is sure that nobody else has it.
const TENTATIVE: u32 = 0x40;
/// `RT_SCOPE_LINK`; above it is only that of the machine itself.
const SCOPE_LINK: u8 = 253;
