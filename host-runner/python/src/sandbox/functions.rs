//! Functions of the embedder that a guest calls: `host.NAME(...)`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use wasisocket_host::Reply;

use super::tasks::Tasks;
use super::value::Value;

/// A function that a guest of a [`Sandbox`](super::Sandbox) can call
/// ([`SandboxBuilder::function`](super::SandboxBuilder::function)).
#[must_use = "no guest has it yet"]
#[derive(Clone)]
pub struct Function {
    kind: Kind,
    doc: String,
    is_read_only: bool,
    approve: Option<Arc<Approve>>,
}

/// What a guest passes to a function.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arguments {
    /// Those by position.
    pub positional: Vec<Value>,
    /// Those by name.
    pub keywords: Vec<(String, Value)>,
}

/// What a guest gets in place of a function's value: an exception of the type `host.HostError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The name of a type, such as "ValueError".
    pub type_name: String,
    /// What went wrong.
    pub message: String,
}

type Answer = Result<Value, FunctionError>;
type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;
pub(super) type Approve = dyn Fn(&str, &Arguments) -> bool + Send + Sync;

#[derive(Clone)]
enum Kind {
    Now(Arc<dyn Fn(Arguments) -> Answer + Send + Sync>),
    Later(Arc<dyn Fn(Arguments) -> Later + Send + Sync>),
}

impl Function {
    /// A function that the guest calls as any other. It runs on the thread that the guest runs on, which waits. Its time
    /// counts for the limit `timeout`, but nothing interrupts it.
    pub fn new(
        function: impl Fn(Arguments) -> Result<Value, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Kind::Now(Arc::new(function)))
    }

    /// A function that the guest awaits, as a coroutine function of Python. While it runs, other tasks of the guest do too.
    /// The future is a task of the tokio runtime, and is dropped when the guest gives it up or ends.
    pub fn new_async<F>(function: impl Fn(Arguments) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value, FunctionError>> + Send + 'static,
    {
        Self::of(Kind::Later(Arc::new(move |arguments| {
            Box::pin(function(arguments))
        })))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            doc: String::new(),
            is_read_only: false,
            approve: None,
        }
    }

    /// Sets its documentation, which the guest has as `host.NAME.__doc__`.
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// It changes nothing: [`SandboxBuilder::approve`](super::SandboxBuilder::approve) is not asked about its calls.
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// Decides about each call of it, in place of [`SandboxBuilder::approve`](super::SandboxBuilder::approve).
    pub fn approve(mut self, approve: impl Fn(&Arguments) -> bool + Send + Sync + 'static) -> Self {
        self.approve = Some(Arc::new(move |_, arguments| approve(arguments)));
        self
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("doc", &self.doc)
            .field("is_read_only", &self.is_read_only)
            .finish_non_exhaustive()
    }
}

impl FunctionError {
    /// An exception of this type, by name, with this text.
    pub fn new(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            type_name: type_name.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.type_name, self.message)
    }
}

impl std::error::Error for FunctionError {}

/// All functions of one guest, by name.
#[derive(Clone, Default)]
pub(super) struct Functions {
    pub(super) named: BTreeMap<String, Function>,
    pub(super) approve: Option<Arc<Approve>>,
}

impl Functions {
    /// Answers a request of `_wasisocket_functions.py`, as a task. A guest can request anything.
    pub(super) fn answer(self: &Arc<Self>, tasks: &Tasks, request: Vec<u8>, reply: Reply) {
        let functions = Arc::clone(self);
        tasks.push(move || match functions.parse(&request) {
            Ok(Request::List) => send(reply, Ok(functions.list())),
            Ok(Request::Call(Kind::Now(function), arguments)) => send(reply, function(arguments)),
            Ok(Request::Call(Kind::Later(function), arguments)) => {
                let future = function(arguments);
                tokio::spawn(async move {
                    let answer = tokio::select! {
                        biased;
                        answer = future => answer,
                        () = reply.given_up() => return,
                    };
                    send(reply, answer);
                });
            }
            Err(error) => send(reply, Err(error)),
        });
    }

    fn parse(&self, request: &[u8]) -> Result<Request, FunctionError> {
        let unreadable =
            || FunctionError::new("ValueError", "the arguments are too large, or too deep");
        let Some(Value::Tuple(mut parts)) = Value::read(request) else {
            return Err(unreadable());
        };
        if parts == ["functions".into()] {
            return Ok(Request::List);
        }
        let arguments = parts.split_off(parts.len().min(2));
        let ([Value::Str(kind), Value::Str(name)], Some(arguments)) =
            (&*parts, Arguments::of(arguments))
        else {
            return Err(unreadable());
        };
        let function = self.named.get(name).filter(|_| kind == "call");
        let function = function
            .ok_or_else(|| FunctionError::new("AttributeError", "there is no such function"))?;
        let of_all = self.approve.as_ref().filter(|_| !function.is_read_only);
        if let Some(approve) = function.approve.as_ref().or(of_all)
            && !approve(name, &arguments)
        {
            let message = format!("this call of {name} was not approved");
            return Err(FunctionError::new("NotApproved", message));
        }
        Ok(Request::Call(function.kind.clone(), arguments))
    }

    fn list(&self) -> Value {
        let functions = self.named.iter().map(|(name, function)| {
            let is_async = matches!(function.kind, Kind::Later(_));
            Value::Tuple(vec![
                name.as_str().into(),
                is_async.into(),
                function.doc.as_str().into(),
            ])
        });
        Value::List(functions.collect())
    }
}

/// What a guest asks for.
enum Request {
    /// Which functions there are.
    List,
    Call(Kind, Arguments),
}

impl Arguments {
    fn of(parts: Vec<Value>) -> Option<Self> {
        let [Value::Tuple(positional), Value::Dict(keywords)] =
            <[Value; 2]>::try_from(parts).ok()?
        else {
            return None;
        };
        let keywords = keywords.into_iter().map(|(name, value)| match name {
            Value::Str(name) => Some((name, value)),
            _ => None,
        });
        Some(Self {
            positional,
            keywords: keywords.collect::<Option<_>>()?,
        })
    }
}

fn send(reply: Reply, answer: Answer) {
    let parts = match answer {
        Ok(value) => vec!["value".into(), value],
        Err(error) => vec!["error".into(), error.type_name.into(), error.message.into()],
    };
    let mut bytes = Vec::new();
    Value::Tuple(parts).write(&mut bytes);
    reply.send(bytes);
}
