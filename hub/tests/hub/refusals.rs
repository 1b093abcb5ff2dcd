//! What breaks a rule is refused whole, with a problem document that names what is wrong.
//! Method: send each kind of bad request to a running hub, and see that the ledger stays empty.

use onceward_hub::ledger;

use crate::running::{
    API_KEY, Client, FORLOY, Running, WEDE, batch, data, event, head, purchase, purchases,
};

/// Runs `check` against a hub, and sees that nothing was applied.
fn nothing_is_applied(check: impl FnOnce(Client)) {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    check(hub.client());
    hub.stop().unwrap();
    assert_eq!(ledger(&data(dir.path()), "default").unwrap(), [], "nothing is applied");
}

/// A good request for each writing route.
fn good() -> [(&'static str, String); 2] {
    [(FORLOY, purchases(&[purchase("k", "card", "1.00")])), (WEDE, batch(&[event("k", "{}")]))]
}

#[test]
fn every_route_with_data_refuses_every_sort_of_bad_credential_alike() {
    // H1
    nothing_is_applied(|client| {
        let long = format!("authorization: Bearer {}", "x".repeat(5_000));
        let right = format!("authorization: Bearer {API_KEY}");
        let upper = format!("authorization: Bearer {}", API_KEY.to_ascii_uppercase());
        let basic = format!("authorization: Basic {API_KEY}");
        let bare = format!("authorization: {API_KEY}");
        let longer = format!("{right}1");
        let twice = format!("{right}\r\n{right}");
        let bad = ["", "authorization:", "authorization: Bearer", &long, &upper, &basic, &bare];
        for header in bad.into_iter().chain([longer.as_str(), twice.as_str()]) {
            let mut headers = vec!["content-type: application/json".to_owned()];
            headers.extend((!header.is_empty()).then(|| header.to_owned()));
            let mut answers = Vec::new();
            for (path, body) in good() {
                answers.push(client.request("POST", path, &headers, body.as_bytes()));
            }
            answers.push(client.request("GET", &format!("{WEDE}/x"), &headers, b""));
            for answer in answers {
                answer.assert_problem(401, "UNAUTHORIZED", "a valid bearer key is needed");
                assert_eq!(answer.header("www-authenticate"), Some("bearer realm=\"onceward\""));
            }
        }
    });
}

#[test]
fn a_body_that_is_not_json_is_400() {
    nothing_is_applied(|client| {
        for (path, _) in good() {
            for bad in ["", "{", "nonsense", "{\"a\":NaN}", "{\"a\":1,}", "\u{feff}{}", "{} {}"] {
                client.post(path, bad).assert_problem(400, "NOT_JSON", "not JSON");
            }
            let head = head(
                "POST",
                path,
                &[
                    "content-type: application/json".into(),
                    format!("authorization: Bearer {API_KEY}"),
                ],
                2,
            );
            let answer = client.raw(&[head.as_bytes(), b"\xff\xfe"].concat()).unwrap();
            answer.assert_problem(400, "NOT_JSON", "not UTF-8");
        }
    });
}

#[test]
fn a_broken_rule_is_422_and_refuses_the_good_items_too() {
    nothing_is_applied(|client| {
        let good = purchase("k", "card", "1.00");
        let refused = |bad: String, detail: &str| {
            let body = purchases(&[good.clone(), good.clone(), good.clone(), bad]);
            let answer = client.post(FORLOY, &body);
            answer.assert_problem(422, "INVALID_REQUEST", detail);
            let field = detail.split(' ').next().unwrap();
            assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
        };
        let without = |member: &str| good.replacen(member, "", 1);
        refused(without(r#""location_id":"loc_1","#), "transactions[3].location_id is missing");
        refused(good.replacen('{', r#"{"tip":1,"#, 1), "transactions[3].tip is not a known field");
        refused(
            good.replace("1.00", "\"1.00\""),
            "transactions[3].purchase_amount must be a number",
        );
        refused(good.replace("1.00", "-1"), "transactions[3].purchase_amount must not be negative");
        refused(good.replace("1.00", "1.00001"), "transactions[3].purchase_amount must be money");
        refused(purchase("", "card", "1"), "transactions[3].idempotency_key must not be empty");
        let long = "k".repeat(256);
        refused(
            purchase(&long, "card", "1"),
            "transactions[3].idempotency_key must be at most 255",
        );
        let twice = good.replacen('{', r#"{"location_id":"x","#, 1);
        refused(twice, "transactions[3].location_id is there twice");
        refused(good.replace("card", "\\ud800"), "transactions[3].qr_code_data is unusable");
        refused(good.replace("1.00", "1e400"), "transactions[3].purchase_amount is unusable");
        for count in [0, 101] {
            let many = purchases(&vec![good.clone(); count]);
            let detail = format!("transactions must hold 1 to 100 items, not {count}");
            client.post(FORLOY, &many).assert_problem(422, "INVALID_REQUEST", &detail);
            let many = batch(&vec![event("k", "{}"); count * 5]);
            let detail = format!("events must hold 1 to 500 items, not {}", count * 5);
            client.post(WEDE, &many).assert_problem(422, "INVALID_REQUEST", &detail);
        }
    });
}

#[test]
fn all_faults_of_a_request_are_listed() {
    nothing_is_applied(|client| {
        let answer = client.post(FORLOY, r#"{"transactions":[{},{"x":1}],"y":2}"#);
        answer.assert_problem(422, "INVALID_REQUEST", "(and 11 more)");
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.len(), 12, "{errors:?}");
        assert_eq!(errors[0]["field"], "y");
        assert_eq!(errors[11]["field"], "transactions[1].x");
    });
}

#[test]
fn json_that_is_deep_is_refused_and_harms_nobody() {
    // H4
    nothing_is_applied(|client| {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        client.post(FORLOY, &deep).assert_problem(422, "INVALID_REQUEST", "nests deeper than 64");
        let deep = event("k", &format!("{{\"a\":{deep}}}"));
        let answer = client.post(WEDE, &batch(&[deep]));
        answer.assert_problem(422, "INVALID_REQUEST", "events[0].payload.a[0]");
    });
}

#[test]
fn too_many_bytes_are_413_with_the_limit() {
    // H4
    nothing_is_applied(|client| {
        for ((path, body), limit) in good().into_iter().zip([1_048_576, 4_194_304]) {
            let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
            client.post(path, &padded(limit + 1)).assert_problem(
                413,
                "TOO_LARGE",
                &format!("at most {limit} bytes"),
            );
            let at_limit = padded(limit).replacen("card", "", 1).replacen("PAYMENT", "", 1);
            let answer = client.post(path, &at_limit);
            answer.assert_problem(422, "INVALID_REQUEST", "must not be empty");
            // A client that asks first is answered before it has sent anything.
            let headers = [
                "content-type: application/json".to_owned(),
                format!("authorization: Bearer {API_KEY}"),
                "expect: 100-continue".to_owned(),
            ];
            let head = head("POST", path, &headers, limit + 1);
            let answer = client.raw(head.as_bytes()).unwrap();
            answer.assert_problem(413, "TOO_LARGE", "");
        }
    });
}

#[test]
fn another_content_type_is_415() {
    nothing_is_applied(|client| {
        let auth = format!("authorization: Bearer {API_KEY}");
        for (path, body) in good() {
            for header in [
                "x-none: 1",
                "content-type: text/plain",
                "content-type: application/json; charset=latin1",
                "content-type: application/json\r\ncontent-type: application/json",
                "content-type: application/json\r\ncontent-encoding: gzip",
            ] {
                let headers = [auth.clone(), header.to_owned()];
                let answer = client.request("POST", path, &headers, body.as_bytes());
                answer.assert_problem(415, "UNSUPPORTED_MEDIA_TYPE", "");
            }
        }
    });
}

#[test]
fn an_unknown_route_is_404_and_a_wrong_method_405() {
    nothing_is_applied(|client| {
        for path in ["/", "/api/v1/transactions", "/v1/sync/batch/a/b", "/problems/none", "/..%2f"]
        {
            client.request("GET", path, &[], b"").assert_problem(404, "NOT_FOUND", "no route");
        }
        for (method, path, allow) in [
            ("GET", FORLOY, "post"),
            ("DELETE", FORLOY, "post"),
            ("PUT", WEDE, "post"),
            ("POST", "/v1/sync/batch/x", "get,head"),
            ("POST", "/healthz", "get,head"),
        ] {
            let answer = client.request(method, path, &[], b"");
            answer.assert_problem(405, "METHOD_NOT_ALLOWED", "Allow");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
    });
}

#[test]
fn a_malformed_idempotency_key_or_batch_id_is_400() {
    nothing_is_applied(|client| {
        let body = batch(&[event("k", "{}")]);
        for bad in ["\"open", "a b", "\"\"", "a\r\nidempotency-key: b"] {
            let header = format!("idempotency-key: {bad}");
            let answer = client.post_with(WEDE, &[&header], &body);
            answer.assert_problem(400, "INVALID_IDEMPOTENCY_KEY", "Idempotency-Key");
        }
        for bad in ["%ff".to_owned(), "x".repeat(256)] {
            let answer = client.get(&format!("{WEDE}/{bad}"));
            answer.assert_problem(400, "INVALID_BATCH_ID", "batch id");
        }
    });
}

#[test]
fn names_of_clients_reach_an_answer_only_escaped() {
    // H10
    nothing_is_applied(|client| {
        let nasty = r#"{"transactions":[],"\u001b[31m\r\nx-evil: 1":1}"#;
        let answer = client.post(FORLOY, nasty);
        answer.assert_problem(422, "INVALID_REQUEST", "transactions must hold");
        assert!(!answer.head.contains("x-evil"), "{answer:?}");
        assert!(!answer.body.contains('\u{1b}') && !answer.body.contains('\n'), "{answer:?}");
    });
}

#[test]
fn two_lengths_or_a_broken_head_are_refused() {
    // H10
    nothing_is_applied(|client| {
        let (path, body) = &good()[0];
        let auth = format!("authorization: Bearer {API_KEY}\r\ncontent-type: application/json");
        for head in [
            format!(
                "POST {path} HTTP/1.1\r\nhost: h\r\n{auth}\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"
            ),
            format!("POST {path} HTTP/1.1\r\nhost: h\r\n{auth}\r\ncontent-length: -1\r\n\r\n"),
            format!(
                "POST {path} HTTP/1.1\r\nhost: h\r\n{auth}\r\ntransfer-encoding: chunked, x\r\n\r\n"
            ),
            format!("POST {path} HTTP/1.1\r\nbad header\r\n{auth}\r\n\r\n"),
        ] {
            let answer = client.raw(format!("{head}{body}").as_bytes());
            let is_refused = answer.as_ref().map_or(true, |answer| answer.status == 400);
            assert!(is_refused, "{answer:?}");
        }
    });
}

#[test]
fn health_and_problem_pages_need_no_key() {
    nothing_is_applied(|client| {
        let get = |path: &str| client.request("GET", path, &[], b"");
        assert_eq!(get("/healthz").json()["status"], "ok");
        assert_eq!(get("/readyz").json()["status"], "ready");
        let page = get("/problems/invalid-request");
        assert_eq!(page.status, 200);
        assert!(page.body.starts_with("INVALID_REQUEST (status 422)"), "{}", page.body);
        assert!(page.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
        assert_eq!(page.header("onceward-horizon"), Some("2592000"));
        assert!(page.header("date").is_some_and(|date| date.ends_with(" gmt")));
    });
}
