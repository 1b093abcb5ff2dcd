//! What callgrind wrote: the cost of functions with all that they called, by name. No process here.

use std::collections::HashSet;

/// Instructions of all threads in a profile.
pub(super) fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Instructions of the functions whose names end with `name`, with all that they called; 0 if nobody called them.
///
/// A call is two lines after the name of what is called: `calls=..`, then a position and what it cost. Names are
/// written out once, as `cfn=(7) name` or `fn=(7) name`, and are `(7)` from then on.
pub(super) fn inclusive(profile: &str, name: &str) -> u64 {
    let mut numbers: HashSet<&str> = HashSet::new();
    let (mut is_wanted, mut is_cost, mut sum) = (false, false, 0);
    for line in profile.lines() {
        if is_cost {
            is_cost = false;
            let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok());
            sum += if is_wanted { cost.unwrap_or(0) } else { 0 };
        } else if line.starts_with("calls=") {
            is_cost = true;
        } else if let Some(named) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, text) = named.split_once(' ').unwrap_or((named, ""));
            if is_of(text, name) {
                numbers.insert(number);
            }
            is_wanted = numbers.contains(number);
        }
    }
    sum
}

/// Whether `text` is the path of the function `name`, whatever crate it is in.
fn is_of(text: &str, name: &str) -> bool {
    text.strip_suffix(name).is_some_and(|path| path.ends_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "events: Ir\nfn=(1) main\n10 5\ncfn=(2) benches::counted::singles\n\
                           calls=2 7\n11 900\ncfn=(3) benches::counted::not_singles\ncalls=1 7\n12 70\n\n\
                           fn=(2)\n7 30\ncfn=(3)\ncalls=1 9\n8 70\n\nfn=(4) other\n1 1\ncfn=(2)\n\
                           calls=1 7\n3 40\ntotals: 1234\n";

    #[test]
    fn calls_of_a_function_are_added_up_and_no_others() {
        assert_eq!(inclusive(PROFILE, "singles"), 940);
        assert_eq!(inclusive(PROFILE, "not_singles"), 140);
        assert_eq!(inclusive(PROFILE, "nobody"), 0);
        assert_eq!(total(PROFILE), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }
}
