#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests play the operator who edits the file"
)]

use std::{
    fs,
    sync::{Arc, Mutex},
};

use super::{CardRefusal, CardType, CardsFile, parse};
use crate::notice::{Notice, Notices};

const GOOD: &str = concat!(
    r#"{"code":"a","status":"active","card_type":"punch"}"#,
    "\r\n\n",
    r#"{"code":"b","status":"inactive","card_type":"cashback"}"#,
);

fn why(content: &str) -> String {
    parse(content.as_bytes()).unwrap_err()
}

#[test]
fn a_card_is_active_inactive_or_unknown() {
    let cards = parse(GOOD.as_bytes()).unwrap();
    let fallback = CardType::Cashback;
    assert_eq!(cards.judge("a", fallback), Ok(CardType::Punch));
    assert_eq!(cards.judge("b", fallback), Err(CardRefusal::Inactive));
    assert_eq!(cards.judge("c", fallback), Err(CardRefusal::NotFound));
}

#[test]
fn without_a_file_every_card_exists() {
    let cards = CardsFile::open(None, Notices::default()).unwrap().current();
    assert_eq!(cards.judge("any", CardType::Punch), Ok(CardType::Punch));
}

#[test]
fn an_empty_file_knows_no_card() {
    let cards = parse(b"").unwrap();
    assert_eq!(cards.judge("a", CardType::Punch), Err(CardRefusal::NotFound));
}

#[test]
fn a_broken_line_is_named_with_its_field() {
    for (line, expected) in [
        ("nonsense", "line 1: not JSON"),
        ("[]", "line 1: body must be an object"),
        (r#"{"status":"active","card_type":"punch"}"#, "line 1: code is missing"),
        (r#"{"code":"","status":"active","card_type":"punch"}"#, "line 1: code must not be empty"),
        (r#"{"code":7,"status":"active","card_type":"punch"}"#, "line 1: code must be a string"),
        (r#"{"code":"a","status":"gone","card_type":"punch"}"#, "line 1: status must be"),
        (r#"{"code":"a","status":"active","card_type":"gold"}"#, "line 1: card_type must be"),
        (
            r#"{"code":"a","status":"active","card_type":"punch","x":1}"#,
            "line 1: x is not a known field",
        ),
        (
            r#"{"code":"a","code":"b","status":"active","card_type":"punch"}"#,
            "line 1: code is there twice",
        ),
    ] {
        assert!(why(line).starts_with(expected), "{line}: {}", why(line));
    }
    let twice = format!("{GOOD}\n{}", r#"{"code":"a","status":"active","card_type":"punch"}"#);
    assert!(why(&twice).starts_with("line 4: code names a card"), "{}", why(&twice));
}

#[test]
fn a_change_that_neither_size_nor_time_shows_is_seen_while_the_file_is_young() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cards.jsonl");
    fs::write(&path, GOOD).unwrap();
    let young = fs::metadata(&path).unwrap().modified().unwrap();
    let file = CardsFile::open(Some(path.clone()), Notices::default()).unwrap();
    fs::write(&path, GOOD.replace(r#""b""#, r#""z""#)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(young).unwrap();
    let judged = file.current().judge("z", CardType::Cashback);
    assert_eq!(judged, Err(CardRefusal::Inactive));
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_leaves_the_last_good_one_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cards.jsonl");
    fs::write(&path, GOOD).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let notices = {
        let told = Arc::clone(&told);
        Notices::to(move |notice: &Notice| told.lock().unwrap().push(notice.clone()))
    };
    let file = CardsFile::open(Some(path.clone()), notices).unwrap();
    let judge = |code: &str| file.current().judge(code, CardType::Cashback);
    assert_eq!(judge("b"), Err(CardRefusal::Inactive));

    fs::write(&path, GOOD.replace(r#""b""#, r#""z""#)).unwrap();
    assert_eq!(judge("b"), Err(CardRefusal::NotFound));
    assert_eq!(judge("z"), Err(CardRefusal::Inactive));

    fs::write(&path, "broken").unwrap();
    assert_eq!(judge("z"), Err(CardRefusal::Inactive), "the last good one");
    assert_eq!(judge("a"), Ok(CardType::Punch));
    let report = file.report();
    assert_eq!((report.reloads, report.failures, report.cards), (1, 1, 2), "{report:?}");
    assert!(report.broken.unwrap().contains("line 1"));

    fs::remove_file(&path).unwrap();
    assert_eq!(judge("a"), Ok(CardType::Punch), "the last good one, without a file");
    assert_eq!(file.report().failures, 2);

    fs::write(&path, GOOD).unwrap();
    assert_eq!(judge("b"), Err(CardRefusal::Inactive));
    assert_eq!(file.report().broken, None);
    let told = told.lock().unwrap();
    assert_eq!(told.first(), Some(&Notice::CardsReloaded { cards: 2 }));
    assert!(matches!(told.get(1), Some(Notice::CardsBroken { .. })), "{told:?}");
}
