//! Faults in the items of a JSON reply, whatever it looks like: its items are the longest array of objects in it.
//! No I/O here.

use serde_json::Value;

use super::chance::Chance;
use super::fault::Fault;

/// The same JSON with its items changed; `None` if it has no items, or is no JSON.
///
/// Without two items there is no other order: then they come as they are.
pub(super) fn changed(fault: Fault, body: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let count = longest(&value);
    let items = items(&mut value, count)?;
    let index = chance.below(items.len());
    match fault {
        Fault::ItemsShuffled => shuffle(items, chance),
        Fault::ItemDropped => {
            items.remove(index);
        }
        Fault::StrangerAdded => {
            let mut stranger = items.get(index)?.clone();
            if !rename(&mut stranger, is_name) {
                rename(&mut stranger, |_any| true);
            }
            items.push(stranger);
        }
        Fault::ItemDoubled => {
            let mut double = items.get(index)?.clone();
            if !contradict(&mut double) {
                rename(&mut double, |name| !is_name(name));
            }
            items.insert(index.saturating_add(1), double);
        }
        _ => return None,
    }
    serde_json::to_vec(&value).ok()
}

/// How many items the longest array of objects has; 0 if there is none.
fn longest(value: &Value) -> usize {
    match value {
        Value::Array(array) => {
            let own = if array.iter().all(Value::is_object) { array.len() } else { 0 };
            array.iter().map(longest).max().unwrap_or(0).max(own)
        }
        Value::Object(map) => map.values().map(longest).max().unwrap_or(0),
        _ => 0,
    }
}

/// The first array of so many objects.
fn items(value: &mut Value, count: usize) -> Option<&mut Vec<Value>> {
    match value {
        Value::Array(array) => {
            let is_it = count > 0 && array.len() == count && array.iter().all(Value::is_object);
            if is_it { Some(array) } else { array.iter_mut().find_map(|value| items(value, count)) }
        }
        Value::Object(map) => map.values_mut().find_map(|value| items(value, count)),
        _ => None,
    }
}

/// Brings the items into another order than they have.
fn shuffle(items: &mut [Value], chance: &mut Chance) {
    let before = items.to_vec();
    chance.shuffle(items);
    if items == before && items.len() > 1 {
        items.rotate_left(1);
    }
}

/// Whether a field of this name says which item it is.
fn is_name(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    field.ends_with("key") || field.ends_with("id")
}

/// Changes the texts in fields that `matches`, at any depth; false if there are none.
fn rename(value: &mut Value, matches: fn(&str) -> bool) -> bool {
    let mut found = false;
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if matches(name) => {
                        text.push_str("-stranger");
                        found = true;
                    }
                    other => found |= rename(other, matches),
                }
            }
        }
        Value::Array(array) => {
            for value in array {
                found |= rename(value, matches);
            }
        }
        _ => {}
    }
    found
}

/// Turns what an item says into its opposite: every yes and no, and the words of [`OPPOSITES`]; false if it says none.
fn contradict(value: &mut Value) -> bool {
    match value {
        Value::Bool(word) => {
            *word = !*word;
            true
        }
        Value::String(text) => {
            let opposite = OPPOSITES.iter().find(|(word, _)| word == text);
            opposite.map(|(_, other)| *text = (*other).to_owned()).is_some()
        }
        Value::Array(array) => {
            array.iter_mut().fold(false, |found, value| contradict(value) | found)
        }
        Value::Object(map) => {
            map.values_mut().fold(false, |found, value| contradict(value) | found)
        }
        Value::Null | Value::Number(_) => false,
    }
}

/// Words for the outcome of an item, and what contradicts them.
const OPPOSITES: [(&str, &str); 8] = [
    ("accepted", "rejected"),
    ("duplicate", "rejected"),
    ("rejected", "accepted"),
    ("ok", "error"),
    ("error", "ok"),
    ("success", "failed"),
    ("failed", "success"),
    ("completed", "failed"),
];
