use super::*;

/// The document of the format.
const DOCUMENT: &str = include_str!("../../../../DIALECTS.md");
/// The fields, as they are read.
const FIELDS: &str = include_str!("../file.rs");

/// The blocks of TOML in the document.
fn blocks() -> Vec<&'static str> {
    let blocks = DOCUMENT.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn every_field_of_every_table_is_in_the_document() {
    let sections: Vec<&str> = DOCUMENT.split("\n#").collect();
    let structs: Vec<&str> = FIELDS.split("pub(super) struct ").skip(1).collect();
    assert_eq!(structs.len(), 8, "control");
    for text in structs {
        let (name, rest) = text.split_once(' ').unwrap();
        let heading = match name {
            "File" => "# The top of the file",
            "RequestTable" => "# `[request]`",
            "ItemTable" => "# `[item]`",
            "BodyTable" => "# `[body]`",
            "LookupTable" => "# `[lookup]`",
            "ReplyTable" => "# `[reply]`",
            "RefusalTable" => "## `[reply.refusal]`",
            "MeaningTable" => "## Meanings",
            other => panic!("{other} has no section"),
        };
        let body = rest.split("\n}").next().unwrap();
        let section = sections.iter().find(|section| section.starts_with(heading));
        let section = section.unwrap_or_else(|| panic!("no section {heading}"));
        let fields: Vec<&str> = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub(super) ")?.split_once(':'))
            .map(|(field, _)| field)
            .collect();
        assert!(!fields.is_empty(), "control: {name}");
        for field in &fields {
            assert!(section.contains(&format!("\n| `{field}` | ")), "{heading}: {field}");
        }
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        // Rows of a table of fields have four columns.
        let rows = rows.filter(|(_, rest)| rest.matches(" | ").count() >= 2);
        for (row, _) in rows {
            assert!(fields.contains(&row), "{heading}: {row} is no field");
        }
    }
}

#[test]
fn every_example_in_the_document_loads() {
    assert_eq!(blocks().len(), 2, "control");
    for block in blocks() {
        dialect(block);
    }
    let answer = r#"{"results":[{"ref":"sale-1","state":"created","order_number":"A17"}]}"#;
    assert!(DOCUMENT.contains(answer));
    let reply = dialect(blocks()[0]).read_reply("sale-1", &json(200, answer)).unwrap();
    let receipt = Some(onceward::Receipt::new(b"A17").unwrap());
    assert_eq!(reply.items, [("sale-1".to_owned(), ItemOutcome::Accepted { receipt })]);
}

#[test]
fn every_built_in_file_and_placeholder_is_in_the_document() {
    for (name, text) in BUILT_IN {
        assert_eq!(dialect(text).name(), name);
        assert!(DOCUMENT.contains(&format!("\n| `{name}` | ")), "{name}");
    }
    for name in [
        "key",
        "scope",
        "kind",
        "captured_at",
        "amount",
        "lsn",
        "header:NAME",
        "payload",
        "batch_key",
        "device_id",
    ] {
        assert!(Placeholder::named(name).is_some(), "{name}");
        assert!(DOCUMENT.contains(&format!("\n| `{{{name}}}` | ")), "{name}");
    }
}

#[test]
fn statuses_mean_what_the_document_says() {
    let (_, rest) = DOCUMENT.split_once("| status | meaning |\n|---|---|\n").unwrap();
    let mut documented = std::collections::BTreeMap::new();
    for row in rest.lines().take_while(|line| line.starts_with("| ")) {
        let (statuses, meaning) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        let Some(meaning) = meaning.split('`').nth(1) else { continue };
        for part in statuses.split(", ") {
            let (from, to) = part.split_once(" to ").unwrap_or((part, part));
            for status in from.parse::<u16>().unwrap()..=to.parse().unwrap() {
                documented.insert(status, meaning);
            }
        }
    }
    assert_eq!(documented.len(), 109, "control");
    for status in 200..600 {
        let meaning = reading::usual(status).map(|meaning| match meaning {
            Meaning::Refused => "refused",
            Meaning::Blocked => "blocked",
            Meaning::InProgress => "in_progress",
            Meaning::TooLarge => "too_large",
            Meaning::Transient => "transient",
            other => panic!("{other:?}"),
        });
        assert_eq!(meaning, documented.get(&status).copied(), "{status}");
    }
}
