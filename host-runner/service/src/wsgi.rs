//! Requests and responses as values of Python, as a WSGI application has them (PEP 3333).

use std::path::Path;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use wasisocket_python::{Folder, Program, Value};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail, ensure};

/// The most bytes of a request's body, and of a response's.
pub(crate) const BODY_MAX: usize = 16 << 20;

pub(crate) const CODE: &str = include_str!("wsgi.py");

/// The name of [`CODE`] in tracebacks.
pub(crate) const CODE_NAME: &str = "wsgi.py";

/// The guest's function that answers a request.
pub(crate) const RESPOND: &str = "respond";

/// A program that sees handler.py in `folder`, and `empty` as `/`.
pub(crate) fn program(folder: &Path, empty: &Path) -> Program {
    Program::default()
        .folder(Folder::read_only(empty, "/"))
        .folder(Folder::read_only(folder, "/app"))
}

/// The `environ` of a request, without the `wsgi.` keys. `script` is the part of the path that chose the handler.
pub(crate) fn environ(request: &Parts, script: &str, body: usize) -> Value {
    let path = request.uri.path();
    let path: Vec<u8> = percent_decode_str(path.strip_prefix(script).unwrap_or(path)).collect();
    let query = request.uri.query().unwrap_or_default();
    let mut environ: Vec<(String, String)> = vec![
        ("SERVER_PROTOCOL".into(), "HTTP/1.1".into()),
        ("SERVER_NAME".into(), "localhost".into()),
        ("SERVER_PORT".into(), "80".into()),
        ("REQUEST_METHOD".into(), request.method.to_string()),
        ("SCRIPT_NAME".into(), script.into()),
        ("PATH_INFO".into(), latin_1(&path)),
        ("QUERY_STRING".into(), latin_1(query.as_bytes())),
        ("CONTENT_LENGTH".into(), body.to_string()),
    ];
    for name in request.headers.keys() {
        let values = request.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| latin_1(value.as_bytes())).collect();
        let name = name.as_str();
        match name {
            "content-type" => environ.push(("CONTENT_TYPE".into(), values.join(", "))),
            // Libraries that read the settings of CGI programs would take HTTP_PROXY for one.
            "content-length" | "proxy" => {}
            // A name with a dash, which a proxy in front may set, would be the same key.
            _ if name.contains('_') => {}
            // RFC 9113, 8.2.3.
            "cookie" => environ.push(("HTTP_COOKIE".into(), values.join("; "))),
            // RFC 3875, 4.1.18.
            _ => environ.push((
                format!("HTTP_{}", name.to_uppercase().replace('-', "_")),
                values.join(", "),
            )),
        }
    }
    let environ = environ.into_iter();
    Value::Dict(
        environ
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
    )
}

/// Bytes as PEP 3333 has them in strings.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes of such a string.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let bytes = text.chars().map(|char| u8::try_from(char).ok());
    bytes.collect::<Option<_>>().context("it is not Latin-1")
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

/// The response that [`RESPOND`] returned. A guest can return anything.
///
/// # Errors
/// It is malformed or too long, or its status is not a final one.
pub(crate) fn response(value: Value) -> Result<Response<Bytes>> {
    let parts = match value {
        Value::Tuple(parts) => <[Value; 3]>::try_from(parts).ok(),
        _ => None,
    };
    let Some([Value::Str(status), Value::List(headers), Value::Bytes(body)]) = parts else {
        bail!("it is no status, headers and body");
    };
    ensure!(body.len() <= BODY_MAX, "its body is too long");
    let code = status.get(..3).context("its status is not a number")?;
    let status = StatusCode::from_bytes(code.as_bytes())?;
    ensure!(!status.is_informational(), "its status is not a final one");
    let mut response = Response::builder().status(status);
    for header in headers {
        let parts = match header {
            Value::Tuple(parts) => <[Value; 2]>::try_from(parts).ok(),
            _ => None,
        };
        let Some([Value::Str(name), Value::Str(value)]) = parts else {
            bail!("a header is no name and value");
        };
        let name = HeaderName::from_bytes(name.as_bytes())?;
        if !CONNECTION_HEADERS.contains(&name.as_str()) {
            let value = bytes(&value).with_context(|| format!("its header {name}"))?;
            response = response.header(name, HeaderValue::from_bytes(&value)?);
        }
    }
    Ok(response.body(body.into())?)
}

#[cfg(test)]
mod tests {
    use super::{BODY_MAX, environ, response};
    use axum::http::Request;
    use wasisocket_python::Value;

    fn returned(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
        let headers = headers.iter();
        let headers =
            headers.map(|(name, value)| Value::Tuple(vec![(*name).into(), (*value).into()]));
        Value::Tuple(vec![
            status.into(),
            Value::List(headers.collect()),
            body.into(),
        ])
    }

    #[test]
    fn response_has_status_headers_and_body() {
        let value = returned("404 Not Found", &[("X-One", "1\u{e9}")], b"no such");
        let response = response(value).unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["x-one"].as_bytes(), b"1\xe9");
        assert_eq!(&response.body()[..], b"no such");
    }

    #[test]
    fn handler_cannot_set_where_a_response_ends() {
        let headers = [
            ("Content-Length", "2"),
            ("Transfer-Encoding", "chunked"),
            ("X-One", "1"),
        ];
        let response = response(returned("200 OK", &headers, b"OKHTTP/1.1 200 OK")).unwrap();
        let names: Vec<_> = response.headers().keys().collect();
        assert_eq!(names, ["x-one"]);
    }

    #[test]
    fn malformed_response_is_an_error() {
        for value in [
            Value::None,
            Value::Tuple(vec![]),
            Value::Tuple(vec!["200 OK".into(), Value::None, b"".as_slice().into()]),
            returned("", &[], b""),
            returned("2", &[], b""),
            returned("2\u{e9}0", &[], b""),
            returned("099", &[], b""),
            returned("101 Switching Protocols", &[], b""),
            returned("200 OK", &[("a b", "1")], b""),
            returned("200 OK", &[("a", "1\r\nb: 2")], b""),
            returned("200 OK", &[("a", "\u{20ac}")], b""),
            returned("200 OK", &[], &vec![0; BODY_MAX + 1]),
        ] {
            assert!(response(value).is_err());
        }
    }

    #[test]
    fn request_becomes_an_environ() {
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
        let Value::Dict(environ) = environ(&request.into_parts().0, "/tenant", 3) else {
            panic!("it is no dict");
        };
        let get = |name: &str| {
            let found = environ.iter().find(|(key, _)| key.as_str() == Some(name));
            found.and_then(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("SCRIPT_NAME", Some("/tenant")),
            ("PATH_INFO", Some("/a b/\u{c3}\u{a9}")),
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
}
