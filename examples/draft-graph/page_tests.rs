//! The page as a browser asks for it.

use super::*;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

async fn get_with(path: &str, header: Option<(&str, &str)>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let app = with_page(crate::http::router(crate::http::Settings::default()));
    let (head, body) = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
    get_with(path, None).await
}

#[tokio::test]
async fn every_file_has_its_type_and_a_strict_policy() {
    for asset in ASSETS {
        let (status, headers, body) = get(asset.path).await;
        assert_eq!((status, &*body), (StatusCode::OK, asset.body), "{}", asset.path);
        let kind = match asset.path.rsplit_once('.').map(|(_, end)| end) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(headers["content-type"], kind, "{}", asset.path);
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    }
}

#[tokio::test]
async fn what_the_page_asks_for_is_there_and_nothing_comes_from_elsewhere() {
    let paths: Vec<&str> = ASSETS.iter().map(|asset| asset.path).collect();
    for asset in ASSETS {
        for attribute in ["src=\"", "href=\""].into_iter().filter(|_| asset.kind == HTML) {
            for rest in asset.body.split(attribute).skip(1) {
                let target = rest.split('"').next().unwrap();
                assert!(target == "/" || target.starts_with('#') || paths.contains(&target), "{target}");
            }
        }
        for rest in asset.body.split("from \"./").skip(1).filter(|_| asset.kind == JS) {
            let target = format!("/page/{}", rest.split('"').next().unwrap());
            assert!(paths.contains(&&*target), "{}: {target}", asset.path);
        }
        let elsewhere = asset.body.replace("http://www.w3.org/", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{}", asset.path);
        let inline = ["<style", "style=\"", "onclick", "onload=", "javascript:"];
        assert!(asset.kind != HTML || !inline.iter().any(|inline| asset.body.contains(inline)));
    }
}

#[tokio::test]
async fn every_file_of_the_page_is_served() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/draft-graph/page");
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && name != "index.html" && name != "README.md" {
            let path = format!("/page/{name}");
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{name} is not served");
        }
    }
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let (_, headers, _) = get("/page/main.js").await;
    let tag = headers["etag"].to_str().unwrap();
    let (status, headers, body) = get_with("/page/main.js", Some(("if-none-match", tag))).await;
    assert_eq!((status, &*body), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(headers["etag"], tag);
    let (status, _, _) = get_with("/page/main.js", Some(("if-none-match", "\"another\""))).await;
    assert_eq!(status, StatusCode::OK);
    let (_, other, _) = get("/page/page.css").await;
    assert_ne!(other["etag"], tag);
}

#[tokio::test]
async fn what_there_is_not_is_a_404_in_the_applications_envelope() {
    for path in ["/page/none.js", "/page/", "/page", "/page/../main.rs", "/index.html", "/page/test/package.json"] {
        let (status, headers, body) = get(path).await;
        assert_eq!((status, &headers["content-type"]), (StatusCode::NOT_FOUND, &"application/json".parse().unwrap()));
        assert!(body.contains("error.v1"), "{path}: {body}");
    }
    let app = with_page(crate::http::router(crate::http::Settings::default()));
    let request = Request::post("/").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}
