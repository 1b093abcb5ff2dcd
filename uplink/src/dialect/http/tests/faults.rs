use super::*;

/// The fault of a description, without the name of its file.
fn fault(text: &str) -> String {
    match HttpDialect::from_toml(text) {
        Ok(_) => panic!("it has no fault:\n{text}"),
        Err(fault) => fault.to_string(),
    }
}

/// A good description for one event, with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    let good = one(&format!("headers = {{ K = \"{{key}}\" }}\n{PAYLOAD}{IGNORED}"));
    assert!(HttpDialect::from_toml(&good).is_ok(), "control");
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

#[test]
fn a_fault_has_one_line_with_place_field_and_what_is_allowed() {
    assert_eq!(
        fault(&changed("items = \"one\"", "items = \"some\"")),
        "dialect:5:9: request.items: \"some\" is neither (allowed: \"one\", \"array\")"
    );
    assert_eq!(
        fault(&changed("statuses = [200]", "statuses = [200, 404]")),
        "dialect:11:18: reply.statuses: 404 is there twice or confirms nothing (allowed: some of 200 to 299, each once)"
    );
    let unknown = fault(&changed("[item]", "[item]\namont = \"text\""));
    assert_eq!(unknown, "dialect:8:1: item.amont: unknown field (allowed: `template`, `amount`)");
    let odd = fault(&changed("\"{key}\"", "\"{kex}\\n\\u001b\""));
    assert!(!odd.contains(['\n', '\u{1b}']), "{odd}");
}

#[test]
fn what_the_reader_of_toml_finds_has_its_place_too() {
    for (from, to, said) in [
        (
            "[reply]",
            "[replies]",
            "dialect:9:2: replies: unknown field (allowed: `name`, `horizon`,",
        ),
        ("[item]", "[item.x]", "dialect:7:7: item.x: unknown field (allowed: "),
        (
            "name = \"t\"",
            "name = 7",
            "dialect:1:8: name: invalid type: integer `7` (allowed: a text)",
        ),
        (
            "[200]",
            "[-1]",
            "dialect:11:13: reply.statuses: invalid value: integer `-1` (allowed: a whole number, not negative)",
        ),
        (
            "[200]",
            "200",
            "dialect:11:12: reply.statuses: invalid type: integer `200` (allowed: a list)",
        ),
        (
            "name = \"t\"",
            "name = \"t\"\nname = \"u\"",
            "dialect:2:1: name: duplicate key (allowed: ",
        ),
        ("name = \"t\"", "name", "dialect:1:5: name: "),
    ] {
        let found = fault(&changed(from, to));
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (from, to, field) in [
        ("horizon = \"1h\"\n", "", "horizon"),
        ("name = \"t\"\n", "", "name"),
        ("statuses = [200]\n", "", "reply.statuses"),
        ("items = \"one\"\n", "", "request.items"),
        ("path = \"/e/{key}\"\n", "", "request.path"),
        ("[reply]", "[body]\ntemplate = \"{}\"\n[reply]", "body.at"),
        ("[reply]", "[body]\nat = \"/b\"\n[reply]", "body.template"),
        ("template = '\"{payload}\"'\n", "", "item.template"),
        ("[reply]", "[reply.refusal]\n[reply]", "reply.refusal.member"),
        ("[item]\ntemplate = '\"{payload}\"'\n", "", "item"),
    ] {
        let found = HttpDialect::from_toml(&changed(from, to)).unwrap_err();
        assert_eq!(found.field, field, "{found}");
        assert_eq!(found.what, "it is missing");
        assert!(!found.allowed.contains("DIALECTS.md"), "its type is named: {found}");
    }
    let text = changed("[reply]", "[body]\ntemplate = \"{}\"\n[reply]");
    let said = "body.at: it is missing (allowed: a JSON pointer into body.template, such as \"/data/events\")";
    assert!(fault(&text).ends_with(said), "{}", fault(&text));
}

#[test]
fn codes_alone_beside_an_outcome_are_told_as_that() {
    let text = array(&LIST.replacen("words = [\"ok\"]\n", "", 1));
    let said = "reply.accepted.words: it is missing: `codes` alone confirm nothing beside reply.outcome (allowed: a \
                list of the words of success; or no reply.outcome)";
    assert!(fault(&text).ends_with(said), "{}", fault(&text));
}

#[test]
fn fields_of_the_wrong_form_are_refused() {
    for (from, to, field) in [
        ("name = \"t\"", "name = \"T t\"", "name"),
        ("horizon = \"1h\"", "horizon = \"soon\"", "horizon"),
        ("horizon = \"1h\"", "horizon = \"0d\"", "horizon"),
        ("horizon = \"1h\"", "horizon = \"+1d\"", "horizon"),
        ("horizon = \"1h\"", "horizon = \"none\"", "horizon"),
        ("horizon = \"1h\"", "horizon = \"1h\"\nhorizon_reason = \"x\"", "horizon_reason"),
        ("path = \"/e", "path = \"e", "request.path"),
        ("path = \"/e", "path = \"/e f", "request.path"),
        ("path = \"/e", "path = \"/{kex}", "request.path"),
        ("path = \"/e", "path = \"/{payload}", "request.path"),
        ("path = \"/e", "path = \"/{key", "request.path"),
        ("items = \"one\"", "items = \"one\"\nmethod = \"GET\"", "request.method"),
        ("items = \"one\"", "items = \"one\"\nitems_max = 2", "request.items_max"),
        ("items = \"one\"", "items = \"one\"\nbytes_max = 0", "request.bytes_max"),
        ("items = \"one\"", "items = \"one\"\ncredential = \"cookie\"", "request.credential"),
        ("items = \"one\"", "items = \"one\"\ncredential = \"header a b\"", "request.credential"),
        ("items = \"one\"", "items = \"one\"\nconveys_scope = true", "request.conveys_scope"),
        ("items = \"one\"", "items = \"one\"\ncontent_type = \"json\"", "request.content_type"),
        ("K = ", "\"K K\" = ", "request.headers.K K"),
        ("K = ", "Host = ", "request.headers.Host"),
        ("K = ", "Authorization = ", "request.headers.Authorization"),
        ("K = \"{key}\"", "K = \"{key}\", k = \"x\"", "request.headers.k"),
        ("K = \"{key}\"", "K = \"{key} \"", "request.headers.K"),
        ("'\"{payload}\"'", "'{\"a\":1,\"a\":2}'", "item.template"),
        ("'\"{payload}\"'", "'{\"a\":1'", "item.template"),
        ("'\"{payload}\"'", "'\"x{payload}\"'", "item.template"),
        ("'\"{payload}\"'", "'\"{batch_key}\"'", "item.template"),
        ("'\"{payload}\"'", "'{\"...payload\":1}'", "item.template"),
        ("'\"{payload}\"'", "7", "item.template"),
        ("'\"{payload}\"'", "{ a = 2020-01-01 }", "item.template"),
        ("[reply]", "[body]\ntemplate = '{\"a\":1}'\nat = \"/b\"\n[reply]", "body.at"),
        ("[reply]", "[body]\ntemplate = '{\"a\":1}'\nat = \"a\"\n[reply]", "body.at"),
        ("[reply]", "[body]\ntemplate = '{\"a\":1}'\nat = \"\"\n[reply]", "body.at"),
        (
            "[reply]",
            "[body]\ntemplate = '{\"a\":\"{key}\"}'\nat = \"/a\"\n[reply]",
            "body.template",
        ),
        ("statuses = [200]", "statuses = []", "reply.statuses"),
        ("body = \"ignored\"", "body = \"ignored\"\nkey = \"/id\"", "reply.key"),
        ("body = \"ignored\"", "body = \"ignored\"\nmembers = [\"/id\"]", "reply.members"),
        ("body = \"ignored\"", "body = \"text\"", "reply.body"),
        ("body = \"ignored\"", "key = \"id\"", "reply.key"),
        ("body = \"ignored\"", "key = \"/a~2\"", "reply.key"),
        ("body = \"ignored\"", "content_type = [\"json\"]\nkey = \"/id\"", "reply.content_type"),
    ] {
        let found = HttpDialect::from_toml(&changed(from, to)).unwrap_err();
        assert_eq!(found.field, field, "{to}: {found}");
    }
}

#[test]
fn an_event_must_be_known_by_its_own_key() {
    let without = changed("{key}\"", "x\"");
    assert!(HttpDialect::from_toml(&without).is_ok(), "the header still has it");
    let without = without.replacen("{key}", "{batch_key}", 1);
    let found = fault(&without);
    assert!(found.contains("the batch's key is the event's only one"), "{found}");
    let found = fault(&without.replace("{batch_key}", "{key}-{batch_key}"));
    assert!(found.contains("the batch's key is the event's only one"), "{found}");
    let found = fault(&without.replace("{batch_key}", "x"));
    assert!(found.contains("the upstream never sees the event's key"), "{found}");
    assert!(HttpDialect::from_toml(&array(LIST)).is_ok(), "control");
    let found = fault(&array(&LIST.replace("{key}", "{kind}")));
    assert!(found.contains("item.template: the items have no key"), "{found}");
}

#[test]
fn something_must_confirm_and_nothing_by_accident() {
    for (from, to, field) in [
        ("words = [\"ok\"]\n", "", "reply.accepted.words"),
        ("words = [\"ok\"]\ncodes = [\"00\"]\n", "", "reply.accepted"),
        ("outcome = \"/status\"\n", "", "reply.accepted.words"),
        ("key = \"/id\"\n", "", "reply.key"),
        ("results = \"/results\"\n", "", "reply.results"),
        ("[\"known\"]", "[\"ok\"]", "reply.duplicate.words"),
        ("[\"lost\"]", "[\"busy\"]", "reply.transient.codes"),
        ("[\"lost\"]", "[\"\"]", "reply.uncertain.codes"),
        (
            "[reply.uncertain]\n",
            "[reply.uncertain]\nstatuses = [409]\n",
            "reply.uncertain.statuses",
        ),
        (
            "[reply.transient]\n",
            "[reply.transient]\nstatuses = [200]\n",
            "reply.transient.statuses",
        ),
        (
            "[reply.transient]\n",
            "[reply.transient]\nstatuses = [100]\n",
            "reply.transient.statuses",
        ),
        ("[reply.accepted]\n", "[reply.accepted]\nstatuses = [201]\n", "reply.accepted.statuses"),
        (
            "[reply.transient]\n",
            "[reply.unknown]\ncodes = [\"x\"]\n[reply.transient]\n",
            "reply.unknown",
        ),
        ("key = \"/id\"\n", "key = \"/id\"\nreceipt_header = \"R\"\n", "reply.receipt_header"),
        (
            "[reply.transient]\n",
            "[reply.batch_key_refused]\ncodes = [\"x\"]\n[reply.transient]\n",
            "reply.batch_key_refused",
        ),
        ("statuses = [200]\n", "statuses = [200]\nbody = \"ignored\"\n", "reply.body"),
    ] {
        let text = array(LIST);
        assert!(text.contains(from), "{from}");
        let found = HttpDialect::from_toml(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(found.field, field, "{found}");
    }
    let found = fault(&one(&format!("{PAYLOAD}[reply]\nstatuses = [200]\n")));
    assert!(found.contains("any JSON would"), "{found}");
    let ignored = |rest: &str| one(&format!("{PAYLOAD}{IGNORED}{rest}"));
    for meaning in ["duplicate", "rejected", "uncertain"] {
        let text = |status: u16| ignored(&format!("[reply.{meaning}]\nstatuses = [{status}]\n"));
        assert!(HttpDialect::from_toml(&text(410)).is_ok(), "control");
        assert!(fault(&text(503)).contains("proxies answer with this status too"));
    }
    let text = format!(
        "{PAYLOAD}[reply]\nstatuses = [200]\nkey = \"/id\"\n[reply.blocked]\nstatuses = [401]\n"
    );
    assert!(fault(&one(&text)).contains("only with `refusal`"));
}

#[test]
fn many_events_need_a_limit() {
    let text = array(LIST);
    for (to, what) in [("", "it is missing"), ("items_max = 0\n", "0 items")] {
        let found = HttpDialect::from_toml(&text.replace("items_max = 10\n", to)).unwrap_err();
        assert_eq!(found.field, "request.items_max");
        assert!(found.what.contains(what), "{found}");
    }
}

#[test]
fn a_lookup_has_the_key_and_rules_of_its_own() {
    let lookup = |path: &str, reply: &str| {
        one(&format!("{PAYLOAD}{IGNORED}[lookup]\npath = \"{path}\"\n[lookup.reply]\n{reply}"))
    };
    let good = "statuses = [200]\nbody = \"ignored\"\n[lookup.reply.unknown]\nstatuses = [404]\n";
    assert!(HttpDialect::from_toml(&lookup("/e/{key}", good)).is_ok(), "control");
    for (text, field) in [
        (lookup("/e", good), "lookup.path"),
        (lookup("/e/{key}/{kind}", good), "lookup.path"),
        (lookup("/e/{key}", "statuses = [200]\n"), "lookup.reply.outcome"),
        (lookup("/e/{key}", &good.replace("404", "503")), "lookup.reply.unknown.statuses"),
    ] {
        assert_eq!(HttpDialect::from_toml(&text).unwrap_err().field, field);
    }
}
