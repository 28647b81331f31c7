//! `wasisocket mcp`: a server of the Model Context Protocol over standard input and output, for agents that run Python.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServiceExt as _};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;
use wasisocket_host::{Event, Grants};
use wasisocket_python::{
    Certificates, Distribution, Folder, Outcome, Program, Python, Sandbox, SandboxError, TimeZones,
    Value, block_on,
};
use wasmtime::error::Context as _;
use wasmtime::{Error, Result};

use crate::folders::parse_folder;
use crate::limits;
use crate::run::{self, GuestArgs};

pub(crate) const HELP: &str = "\
Tools: run_python, in a session that keeps what earlier code defined; write_file, read_file and list_files
of a session's private folder; end_session. Answers say what was denied, and which grant is missing. Limits
hold for each session, those of time for each run: unless you set them, `timeout` is 60 seconds and
`max-memory` 512 MiB.

An agent's configuration names the command, for example:
  {\"mcpServers\": {\"python\": {\"command\": \"wasisocket\", \"args\": [\"mcp\", \"--allow-net=example.com:443\"]}}}";

/// Limits where none are set.
const TIMEOUT: Duration = Duration::from_secs(60);
const MEMORY: usize = 512 << 20;

/// The session of a call that names none.
const SESSION: &str = "default";

/// The longest name of a session, and most characters of one text in an answer: models read all of it.
const NAME_MAX: usize = 100;
const TEXT_MAX: usize = 50_000;

#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    guest: GuestArgs,
    /// Grant each session a folder, or grant it for reading (:ro)
    #[arg(long, value_name = "HOST[::GUEST][:ro]", value_parser = parse_folder)]
    dir: Vec<Folder>,
    /// Set a variable, or pass on the host's
    #[arg(long, value_name = "K[=V]")]
    env: Vec<String>,
    /// How many sessions there may be at a time
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    max_sessions: usize,
}

/// Serves until the client ends.
pub(crate) fn mcp(args: McpArgs) -> Result<u8> {
    args.guest.log();
    let mut grants = args.guest.grants.read()?;
    grants.limits.timeout.get_or_insert(TIMEOUT);
    grants.limits.max_memory.get_or_insert(MEMORY);
    let open = grants.limits.max_sockets.saturating_mul(args.max_sessions);
    limits::allow_sockets(open)?;
    let mut builder =
        Python::builder().distribution(Distribution::find(args.guest.python.as_deref())?);
    if args.guest.cold {
        builder = builder.cold_start();
    }
    let python = run::load_and_say(builder)?;
    let certificates = match &args.guest.ca_bundle {
        Some(file) => Some(Certificates::from_file(file).context("--ca-bundle")?),
        None => None,
    };
    let env = args.env.iter().map(|variable| run::environment(variable));
    let server = Server {
        python,
        grants,
        certificates,
        time_zones: args.guest.time_zones()?,
        folders: args.dir,
        env: env.collect::<Result<_>>()?,
        max_sessions: args.max_sessions,
        sessions: Arc::default(),
    };
    block_on(async {
        let service = server.serve(rmcp::transport::io::stdio_pipes()).await;
        let service = service.map_err(|error| Error::msg(error.to_string()))?;
        service.waiting().await.map_err(Error::from)?;
        Ok::<_, Error>(())
    })??;
    Ok(0)
}

/// What sessions are given, and those that there are.
struct Server {
    python: Python,
    grants: Grants,
    certificates: Option<Certificates>,
    time_zones: Option<TimeZones>,
    folders: Vec<Folder>,
    env: Vec<(String, String)>,
    max_sessions: usize,
    sessions: Arc<Mutex<HashMap<String, Session>>>,
}

/// `None` until it is made: that takes some milliseconds, and others need not wait.
type Session = Arc<Mutex<Option<Sandbox>>>;

/// What a call of a tool answers.
type Answered = std::result::Result<CallToolResult, ErrorData>;

impl Server {
    fn program(&self) -> Program {
        let mut program = Program::default().grants(self.grants.clone());
        for folder in &self.folders {
            program = program.folder(folder.clone());
        }
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        if let Some(certificates) = &self.certificates {
            program = program.certificates(certificates.clone());
        }
        match &self.time_zones {
            Some(time_zones) => program.time_zones(time_zones.clone()),
            None => program,
        }
    }

    /// The session of a name, which is made if there is none.
    async fn session(&self, name: &str) -> std::result::Result<Session, String> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(name) {
            return Ok(Arc::clone(session));
        }
        if sessions.len() >= self.max_sessions {
            let names: Vec<_> = sessions.keys().map(String::as_str).collect();
            return Err(format!(
                "there are as many sessions as there may be; end one of them with end_session: {}",
                names.join(", ")
            ));
        }
        let session = Session::default();
        sessions.insert(name.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    /// Does something with a session that nobody else uses meanwhile.
    async fn with<T>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(&mut Sandbox) -> T,
    ) -> std::result::Result<T, String> {
        let session = self.session(name).await?;
        let mut place = session.lock().await;
        let sandbox = match &mut *place {
            Some(sandbox) => sandbox,
            None => {
                let opened = Sandbox::builder(self.program()).open_async(&self.python);
                match opened.await {
                    Ok(sandbox) => place.insert(sandbox),
                    Err(error) => {
                        self.sessions.lock().await.remove(name);
                        return Err(format!("the session cannot start: {error:#}"));
                    }
                }
            }
        };
        let done = work(sandbox).await;
        if sandbox.end().is_some() {
            // The next call has a new one.
            self.sessions.lock().await.remove(name);
        }
        Ok(done)
    }

    async fn run_python(&self, name: &str, code: &str) -> CallToolResult {
        let ran = self.with(name, async |sandbox| {
            sandbox.run_async(code, "<code>").await
        });
        match ran.await {
            Ok(Ok(outcome)) => answer(&outcome, None),
            Ok(Err(SandboxError::Limit { limit, outcome })) => {
                let why = format!("the limit {limit} was reached, and the session has ended");
                answer(&outcome, Some(why))
            }
            Ok(Err(SandboxError::Ended { end, outcome })) => {
                let why = format!("the session has ended ({end:?})");
                answer(&outcome, Some(why))
            }
            Ok(Err(error)) => failure(error.to_string()),
            Err(error) => failure(error),
        }
    }

    async fn files(
        &self,
        name: &str,
        work: impl FnOnce(&wasisocket_python::Files) -> std::io::Result<String>,
    ) -> CallToolResult {
        let worked = self.with(name, async |sandbox| match sandbox.files() {
            Some(files) => work(files).map_err(|error| error.to_string()),
            None => Err("this session has no private folder, as / is granted".into()),
        });
        match worked.await {
            Ok(Ok(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Ok(Err(error)) | Err(error) => failure(error),
        }
    }

    async fn call(&self, request: &CallToolRequestParams) -> Answered {
        let none = JsonObject::new();
        let arguments = request.arguments.as_ref().unwrap_or(&none);
        let text = |name: &str| match arguments.get(name) {
            Some(Json::String(text)) => Ok(text.as_str()),
            _ => Err(ErrorData::invalid_params(
                format!("{name}: a text is missing"),
                None,
            )),
        };
        let session = match arguments.get("session") {
            None => SESSION,
            Some(_) => text("session")?,
        };
        if session.is_empty() || session.len() > NAME_MAX {
            let why = format!("session: a name has 1 to {NAME_MAX} bytes");
            return Err(ErrorData::invalid_params(why, None));
        }
        Ok(match &*request.name {
            "run_python" => self.run_python(session, text("code")?).await,
            "write_file" => {
                let (path, content) = (text("path")?, text("content")?);
                let write = self.files(session, |files| {
                    files.write(path, content)?;
                    Ok(format!("{} bytes were written to {path}", content.len()))
                });
                write.await
            }
            "read_file" => {
                let path = text("path")?;
                let read = self.files(session, |files| {
                    let content = files.read(path)?;
                    Ok(cut(&String::from_utf8_lossy(&content)).into_owned())
                });
                read.await
            }
            "list_files" => {
                let path = match arguments.get("path") {
                    None => "/",
                    Some(_) => text("path")?,
                };
                let list = self.files(session, |files| {
                    Ok(cut(&files.list(path)?.join("\n")).into_owned())
                });
                list.await
            }
            "end_session" => {
                // A run that goes on ends when it is done, and the sandbox with it.
                let ended = self.sessions.lock().await.remove(session);
                let text = match ended {
                    Some(_) => "the session has ended",
                    None => "there was no such session",
                };
                CallToolResult::success(vec![ContentBlock::text(text)])
            }
            name => {
                let why = format!("there is no tool {name:?}");
                return Err(ErrorData::invalid_params(why, None));
            }
        })
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let version = env!("CARGO_PKG_VERSION");
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("wasisocket", version))
            .with_instructions(
                "Runs Python in a sandbox without access to the machine. It reaches only the network that its owner \
                 granted: answers say which grant is missing. A session keeps what earlier code defined, and has a \
                 private folder at /.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let called = tokio::select! {
            called = self.call(&request) => called?,
            // Giving up a run ends its session.
            () = context.ct.cancelled() => failure("the call was cancelled".into()),
        };
        Ok(CallToolResponse::Complete(called))
    }
}

fn tools() -> Vec<Tool> {
    let path = || json!({"type": "string", "description": "A path in the session's private folder, such as data.csv"});
    let tool = |name: &'static str,
                about: &'static str,
                mut properties: Json,
                required: &[&str]| {
        properties["session"] = json!({
            "type": "string",
            "description": "The session. One that there is none of begins. The default is \"default\".",
        });
        let schema = json!({"type": "object", "properties": properties, "required": required});
        let Json::Object(schema) = schema else {
            unreachable!("it is one");
        };
        Tool::new(name, about, Arc::new(schema))
    };
    let reads = || ToolAnnotations::new().read_only(true);
    vec![
        tool(
            "run_python",
            "Runs Python 3.13 code, like a cell of a notebook: what it defines is there in the next call, `await` is \
             allowed, and the value of the last expression is in the answer.",
            json!({"code": {"type": "string", "description": "The code"}}),
            &["code"],
        ),
        tool(
            "write_file",
            "Writes a text file in the private folder of a session, where code finds it by the same path.",
            json!({"path": path(), "content": {"type": "string", "description": "The text"}}),
            &["path", "content"],
        ),
        tool(
            "read_file",
            "Reads a text file in the private folder of a session.",
            json!({"path": path()}),
            &["path"],
        )
        .with_annotations(reads()),
        tool(
            "list_files",
            "Lists the names in a folder of the private folder of a session. Those of folders end in /.",
            json!({"path": path()}),
            &[],
        )
        .with_annotations(reads()),
        tool(
            "end_session",
            "Ends a session: what its code defined, and its files, are gone.",
            json!({}),
            &[],
        ),
    ]
}

/// What a run answers, as text and as data.
fn answer(outcome: &Outcome, ended: Option<String>) -> CallToolResult {
    let [stdout, stderr] =
        [&outcome.stdout, &outcome.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let value = match &outcome.value {
        Value::None => None,
        value => Some(value.to_string()),
    };
    let error = outcome.error.as_ref().map(|error| error.traceback.clone());
    let mut denied: Vec<String> = Vec::new();
    for event in &outcome.events {
        if let Event::Denied(_) | Event::LimitReached(_) = event {
            let line = event.to_string();
            if !denied.contains(&line) {
                denied.push(line);
            }
        }
    }
    let mut text = String::new();
    for (title, part) in [
        ("", Some(stdout.as_ref())),
        ("standard error:\n", Some(stderr.as_ref())),
        ("value: ", value.as_deref()),
        ("", error.as_deref()),
        ("denied:\n", Some(&*denied.join("\n"))),
        ("", ended.as_deref()),
    ] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{title}{}", cut(part.trim_end_matches('\n')));
        }
    }
    let is_error = error.is_some() || ended.is_some();
    let structured = json!({
        "stdout": cut(&stdout),
        "stderr": cut(&stderr),
        "value": value.as_deref().map(cut),
        "error": error.as_deref().map(cut),
        "denied": denied,
        "ended": ended,
    });
    let content = vec![ContentBlock::text(if text.is_empty() {
        "done".into()
    } else {
        text
    })];
    let mut result = match is_error {
        true => CallToolResult::error(content),
        false => CallToolResult::success(content),
    };
    result.structured_content = Some(structured);
    result
}

fn failure(why: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(why)])
}

/// As much of a text as an answer has.
fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(TEXT_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}\n... ({} bytes more)", &text[..end], text.len() - end).into(),
    }
}
