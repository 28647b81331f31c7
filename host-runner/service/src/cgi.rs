//! The gateway between HTTP and a handler: CGI/1.1 (RFC 3875), which `wsgiref` speaks in the guest, so that
//! a handler is a WSGI application (PEP 3333).

use std::path::Path;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use wasisocket_python::{Folder, Program};
use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

/// A program that answers one request by `app` of handler.py in `folder`. Variables and the request's body are its to
/// be given.
pub fn handler(folder: &Path) -> Program {
    Program::code(include_str!("handler.py")).folder(Folder::read_only(folder, "/app"))
}

/// The guest's variables for a request (RFC 3875, 4.1). `script` is the part of the path that chose the
/// handler.
///
/// # Errors
/// The path is not UTF-8, or has a zero byte: no variable can hold it.
pub fn variables(request: &Parts, script: &str, body: usize) -> Result<Vec<(String, String)>> {
    let path = request.uri.path();
    let path = percent_decode_str(path.strip_prefix(script).unwrap_or(path)).decode_utf8()?;
    ensure!(!path.contains('\0'), "its path has a zero byte");
    let mut variables = vec![
        ("GATEWAY_INTERFACE".into(), "CGI/1.1".into()),
        ("SERVER_PROTOCOL".into(), "HTTP/1.1".into()),
        ("SERVER_NAME".into(), "localhost".into()),
        ("SERVER_PORT".into(), "80".into()),
        ("REQUEST_METHOD".into(), request.method.to_string()),
        ("SCRIPT_NAME".into(), script.into()),
        ("PATH_INFO".into(), path.into()),
        (
            "QUERY_STRING".into(),
            request.uri.query().unwrap_or_default().into(),
        ),
        ("CONTENT_LENGTH".into(), body.to_string()),
    ];
    for name in request.headers.keys() {
        let values = request.headers.get_all(name).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        let name = name.as_str();
        match name {
            "content-type" => variables.push(("CONTENT_TYPE".into(), values.join(", "))),
            // The guest would take HTTP_PROXY for a setting.
            "content-length" | "proxy" => {}
            // A name with a dash, which a proxy in front may set, would be the same variable.
            _ if name.contains('_') => {}
            // RFC 9113, 8.2.3.
            "cookie" => variables.push(("HTTP_COOKIE".into(), values.join("; "))),
            // RFC 3875, 4.1.18.
            _ => variables.push((
                format!("HTTP_{}", name.to_uppercase().replace('-', "_")),
                values.join(", "),
            )),
        }
    }
    Ok(variables)
}

/// Headers that a handler cannot set: they say where a response ends, or are otherwise between the server and its
/// client (RFC 9110, 7.6.1).
const CONNECTION_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Parses the response that a handler wrote (RFC 3875, 6).
///
/// # Errors
/// It is malformed, or its status is not a final one.
pub fn response(output: &[u8]) -> Result<Response<Bytes>> {
    let mut rest = output;
    let mut status = StatusCode::OK;
    let mut response = Response::builder();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.context("its header does not end")? + 1);
        rest = after;
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.context("a line of its header has no colon")?);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"Status") {
            let code = value.get(..3).context("its status is not a number")?;
            status = StatusCode::from_bytes(code)?;
            ensure!(!status.is_informational(), "its status is not a final one");
            continue;
        }
        let name = HeaderName::from_bytes(name)?;
        if !CONNECTION_HEADERS.contains(&name.as_str()) {
            response = response.header(name, HeaderValue::from_bytes(value)?);
        }
    }
    Ok(response.status(status).body(Bytes::copy_from_slice(rest))?)
}

#[cfg(test)]
mod tests {
    use super::{response, variables};
    use axum::http::Request;

    #[test]
    fn response_is_split_into_header_and_body() {
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
    fn handler_cannot_set_where_a_response_ends() {
        let output =
            b"Content-Length: 2\nTransfer-Encoding: chunked\nX-One: 1\n\nOKHTTP/1.1 200 OK";
        let response = response(output).unwrap();
        let names: Vec<_> = response.headers().keys().collect();
        assert_eq!(names, ["x-one"]);
    }

    #[test]
    fn malformed_response_is_an_error() {
        for output in [
            &b""[..],
            b"x",
            b"x: 1\n",
            b"x\n\n",
            b"Status: 2\n\n",
            b"a b: 1\n\n",
            b"Status: 999x\n",
            b"Status: 101 Switching Protocols\n\n",
        ] {
            assert!(response(output).is_err(), "{output:?}");
        }
    }

    #[test]
    fn request_becomes_variables() {
        let request = Request::get("/tenant/a%20b/%C3%A9?c=d%20e")
            .header("X-Token", "t")
            .header("Proxy", "evil")
            .header("Content-Length", "9")
            .header("X_User", "evil")
            .header("X-List", "a")
            .header("X-List", "b")
            .header("Cookie", "a=1")
            .header("Cookie", "b=2")
            .body(())
            .unwrap();
        let variables = variables(&request.into_parts().0, "/tenant", 3).unwrap();
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("SCRIPT_NAME", Some("/tenant")),
            ("PATH_INFO", Some("/a b/é")),
            ("QUERY_STRING", Some("c=d%20e")),
            ("HTTP_X_TOKEN", Some("t")),
            ("HTTP_PROXY", None),
            ("HTTP_X_USER", None),
            ("HTTP_X_LIST", Some("a, b")),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("CONTENT_LENGTH", Some("3")),
        ] {
            assert_eq!(get(name), value, "{name}");
        }
    }

    #[test]
    fn path_that_no_variable_can_hold_is_an_error() {
        for path in ["/tenant/%FF", "/tenant/a%00b"] {
            let request = Request::get(path).body(()).unwrap().into_parts().0;
            assert!(variables(&request, "/tenant", 0).is_err(), "{path}");
        }
    }
}
