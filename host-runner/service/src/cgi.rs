//! The gateway between HTTP and a handler: CGI/1.1 (RFC 3875), which `wsgiref` speaks in the guest, so that
//! a handler is a WSGI application (PEP 3333).

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use wasmtime::Result;
use wasmtime::error::Context as _;

/// What the guest runs: `app` of the module `handler`.
pub const BOOTSTRAP: &str = "\
import sys
from wsgiref.handlers import CGIHandler
sys.path.insert(0, '/app')
from handler import app
CGIHandler().run(app)";

/// The guest's variables for a request (RFC 3875, 4.1). `script` is the part of the path that chose the
/// handler.
#[must_use]
pub fn variables(request: &Parts, script: &str, body: usize) -> Vec<(String, String)> {
    let path = request.uri.path();
    let mut variables = vec![
        ("GATEWAY_INTERFACE".into(), "CGI/1.1".into()),
        ("SERVER_PROTOCOL".into(), "HTTP/1.1".into()),
        ("SERVER_NAME".into(), "localhost".into()),
        ("SERVER_PORT".into(), "80".into()),
        ("REQUEST_METHOD".into(), request.method.to_string()),
        ("SCRIPT_NAME".into(), script.into()),
        (
            "PATH_INFO".into(),
            path.strip_prefix(script).unwrap_or(path).into(),
        ),
        (
            "QUERY_STRING".into(),
            request.uri.query().unwrap_or_default().into(),
        ),
        ("CONTENT_LENGTH".into(), body.to_string()),
    ];
    for (name, value) in &request.headers {
        // RFC 3875, 4.1.18; HTTP_PROXY would be taken for a setting of the guest's.
        let name = name.as_str().to_uppercase().replace('-', "_");
        let Ok(value) = value.to_str() else { continue };
        match name.as_str() {
            "CONTENT_TYPE" => variables.push((name, value.into())),
            "CONTENT_LENGTH" | "PROXY" => {}
            _ => variables.push((format!("HTTP_{name}"), value.into())),
        }
    }
    variables
}

/// The response that a handler wrote (RFC 3875, 6).
///
/// # Errors
/// It is none.
pub fn response(output: &[u8]) -> Result<Response<Body>> {
    let mut rest = output;
    let mut status = StatusCode::OK;
    let mut response = Response::builder();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.context("its header has no end")? + 1);
        rest = after;
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.context("a line of its header has no colon")?);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"Status") {
            let code = value.get(..3).context("its status is no number")?;
            status = StatusCode::from_bytes(code)?;
        } else {
            response = response.header(
                HeaderName::from_bytes(name)?,
                HeaderValue::from_bytes(value)?,
            );
        }
    }
    Ok(response.status(status).body(Body::from(rest.to_vec()))?)
}

#[cfg(test)]
mod tests {
    use super::{response, variables};
    use axum::http::Request;

    #[test]
    fn header_and_body_are_told_apart() {
        let output = b"Status: 404 Not Found\r\nX-One: 1\r\n\r\nno\n\nsuch";
        let response = response(output).unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["x-one"], "1");
        assert_eq!(
            super::response(b"Content-Type: a/b\n\n").unwrap().status(),
            200
        );
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for output in [
            &b""[..],
            b"x",
            b"x: 1\n",
            b"x\n\n",
            b"Status: 2\n\n",
            b"a b: 1\n\n",
            b"Status: 999x\n",
        ] {
            assert!(response(output).is_err(), "{output:?}");
        }
    }

    #[test]
    fn request_becomes_variables() {
        let request = Request::get("/tenant/a/b?c=d")
            .header("X-Token", "t")
            .header("Proxy", "evil")
            .header("Content-Length", "9")
            .body(())
            .unwrap();
        let variables = variables(&request.into_parts().0, "/tenant", 3);
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("SCRIPT_NAME", Some("/tenant")),
            ("PATH_INFO", Some("/a/b")),
            ("QUERY_STRING", Some("c=d")),
            ("HTTP_X_TOKEN", Some("t")),
            ("HTTP_PROXY", None),
            ("CONTENT_LENGTH", Some("3")),
        ] {
            assert_eq!(get(name), value, "{name}");
        }
    }
}
