//! The control API, as a client's test uses it.

use super::client::{Client, Flaw};
use crate::{
    control::{Control, FORGOTTEN},
    matrix::Matrix,
};
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};

async fn ask(to: SocketAddr, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
    let io = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request =
        Request::builder().method(method).uri(path).header("host", "x").header("content-type", "application/json");
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_clients_test_goes_through_scenarios_by_the_api() {
    let dir = std::env::temp_dir().join(format!("client-scenarios-test-{}", std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let control = Control::new(Some(dir.clone()), FORGOTTEN).await;
    tokio::spawn(async move { axum::serve(listener, control.router()).await });
    let get = async |path: &str| ask(at, Method::GET, path, &Value::Null).await;
    let post = async |path: &str, body: Value| {
        let (status, text) = ask(at, Method::POST, path, &body).await;
        (status, serde_json::from_str::<Value>(&text).unwrap_or(Value::Null))
    };

    let (_, scenarios) = get("/scenarios").await;
    let scenarios: Vec<Value> = serde_json::from_str(&scenarios).unwrap();
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "plain");
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());

    let wanted = |client: &str| json!({"scenario": "clean_eof", "seed": 1, "client": client});
    for (client, flaw) in [("right", Flaw::None), ("wrong", Flaw::TrustsEof)] {
        let (status, told) = post("/runs", wanted(client)).await;
        assert_eq!(status, 200, "{told}");
        let run = told["run"].as_str().unwrap().to_owned();
        let report = Client::new(told, flaw).run(async || ()).await;
        let (status, log) = get(&format!("/runs/{run}")).await;
        assert!(status == 200 && log.contains("cut: Clean"), "{log}");
        let (status, verdict) = post(&format!("/runs/{run}/report"), report.clone()).await;
        assert_eq!((status, &verdict["passed"]), (StatusCode::OK, &json!(client == "right")), "{verdict}");
        assert_eq!(verdict["run"].is_null(), client == "right", "what happened is told where it failed");
        let (status, _) = post(&format!("/runs/{run}/report"), report).await;
        assert_eq!(status, 404, "a run is reported once");
    }

    let (_, table) = get("/matrix").await;
    assert!(table.starts_with("| scenario | right | wrong |\n"), "{table}");
    assert!(table.contains("| clean_eof | 1 passed | 0 passed, **1 failed** |"), "{table}");
    assert_eq!(Matrix::load(&dir).unwrap().table(&names), table, "the files say the same");
    std::fs::remove_dir_all(&dir).unwrap();

    let (status, answer) = post("/runs", json!({"scenario": "nonesuch", "seed": 1, "client": "x"})).await;
    assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &json!("there is no scenario nonesuch")));
    assert_eq!(get("/runs/nonesuch").await.0, 404);
    assert_eq!(ask(at, Method::OPTIONS, "/runs", &Value::Null).await.0, 204, "pages of other origins may ask");
}

#[tokio::test]
async fn a_run_that_nobody_reports_is_dropped_with_its_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let control = Control::new(None, Duration::from_millis(100)).await;
    tokio::spawn(async move { axum::serve(listener, control.router()).await });
    let (_, told) = ask(at, Method::POST, "/runs", &json!({"scenario": "plain", "seed": 1, "client": "x"})).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let run = format!("/runs/{}", told["run"].as_str().unwrap());
    let port = told["request"]["url"].as_str().unwrap().strip_prefix("http://").unwrap().replace("/events", "");
    let gone = async {
        while ask(at, Method::GET, &run, &Value::Null).await.0 != 404 || TcpStream::connect(&port).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it is gone");
}
