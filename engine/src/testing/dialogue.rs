//! The dialogues of a protocol's document: what one side says, what the other answers, and what is taken from it.

#![expect(clippy::panic, reason = "for tests: a failure is a panic")]

/// One request of a dialogue, and its answer.
///
/// ```
/// use onceward::testing::turns;
///
/// let document = "```text dialogue:short\n> Key: a\n> slice one\n< 200 {}\n= nothing\n```\n";
/// let turns = turns(document, "short");
/// assert_eq!(turns[0].headers, [("Key", "a")]);
/// assert_eq!((turns[0].slice, turns[0].status, turns[0].said), ("one", 200, "{}"));
/// assert_eq!(turns[0].taken, ["nothing"]);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Turn<'d> {
    /// The headers of the request that are named.
    pub headers: Vec<(&'d str, &'d str)>,
    /// The name of the bytes that are sent.
    pub slice: &'d str,
    /// The status of the answer.
    pub status: u16,
    /// What else the answer says: a body, or the code of a problem.
    pub said: &'d str,
    /// What the side that asked takes from it.
    pub taken: Vec<&'d str>,
}

/// The turns of the block of `document` that is tagged `dialogue:NAME`, in their order.
///
/// # Panics
///
/// If there is no such block, or a line of it is none of a dialogue.
#[must_use]
pub fn turns<'d>(document: &'d str, name: &str) -> Vec<Turn<'d>> {
    let block = document.split_once(&format!("```text dialogue:{name}\n"));
    let block = block.and_then(|(_, after)| after.split_once("```"));
    let (block, _) = block.unwrap_or_else(|| panic!("the document has no block dialogue:{name}"));
    block.split("\n\n").map(turn).collect()
}

/// The names of all dialogues of `document`, in their order.
pub fn dialogues(document: &str) -> impl Iterator<Item = &str> {
    let blocks = document.split("```text dialogue:").skip(1);
    blocks.filter_map(|block| Some(block.split_once('\n')?.0))
}

fn turn(text: &str) -> Turn<'_> {
    let mut turn = Turn::default();
    for line in text.lines() {
        match line.split_at_checked(2) {
            Some(("> ", said)) => match (said.split_once(": "), said.strip_prefix("slice ")) {
                (Some(header), _) => turn.headers.push(header),
                (None, Some(slice)) => turn.slice = slice,
                (None, None) => panic!("{said:?} is no header and no slice"),
            },
            Some(("< ", said)) => {
                let (status, rest) = said.split_once(' ').unwrap_or((said, ""));
                turn.status = status.parse().unwrap_or_else(|_| panic!("{status:?}: no status"));
                turn.said = rest;
            }
            Some(("= ", said)) => turn.taken.push(said),
            _ => panic!("{line:?} is no line of a dialogue"),
        }
    }
    turn
}
