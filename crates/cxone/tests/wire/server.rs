//! A small HTTP/1.1 server, scripted by a function, that keeps a log of what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What the server was asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: String,
    pub body: String,
    /// The connection it came on, counted from 1.
    pub connection: usize,
}

impl Request {
    pub fn is(&self, method: &str, target: &str) -> bool {
        self.method == method && self.target.contains(target)
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// What the server does about it.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer, with extra header lines.
    Http { status: u16, headers: Vec<String>, body: String },
    /// These bytes, and then the end of the connection.
    Raw(String),
    /// A 200 whose body never ends.
    Endless,
    /// This, and then that again and again, with a pause before each.
    Stream { begin: String, again: String, pause: Duration },
    /// No answer; the connection stays open.
    Hang,
    /// The connection ends at once.
    Close,
    /// The reply, once the semaphore has a permit for it.
    After(Arc<Semaphore>, Box<Self>),
}

impl Reply {
    pub fn json(body: impl ToString) -> Self {
        Self::Http { status: 200, headers: Vec::new(), body: body.to_string() }
    }

    pub fn status(status: u16) -> Self {
        Self::Http { status, headers: Vec::new(), body: r#"{"error":"because"}"#.to_owned() }
    }

    pub fn with(self, header: impl ToString) -> Self {
        match self {
            Self::Http { status, mut headers, body } => {
                headers.push(header.to_string());
                Self::Http { status, headers, body }
            }
            other => other,
        }
    }

    pub fn after(self, gate: &Arc<Semaphore>) -> Self {
        Self::After(Arc::clone(gate), Box::new(self))
    }
}

type Script = dyn Fn(&Request, usize) -> Reply + Send + Sync;

pub struct Server {
    pub url: String,
    log: watch::Sender<Vec<Request>>,
}

impl Server {
    /// Answers by the script, which also gets how many requests of the same method and target came before.
    pub async fn start(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = watch::Sender::new(Vec::new());
        tokio::spawn(accept(listener, log.clone(), Arc::new(script)));
        Self { url, log }
    }

    pub fn log(&self) -> Vec<Request> {
        self.log.borrow().clone()
    }

    pub fn count(&self, method: &str, target: &str) -> usize {
        self.log.borrow().iter().filter(|request| request.is(method, target)).count()
    }

    /// Waits until so many of these have come in.
    pub async fn seen(&self, method: &str, target: &str, count: usize) {
        let enough =
            |log: &Vec<Request>| log.iter().filter(|request| request.is(method, target)).count() >= count;
        self.log.subscribe().wait_for(enough).await.unwrap();
    }
}

async fn accept(listener: TcpListener, log: watch::Sender<Vec<Request>>, script: Arc<Script>) {
    let connections = AtomicUsize::new(0);
    while let Ok((stream, _)) = listener.accept().await {
        let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::spawn(serve(stream, connection, log.clone(), Arc::clone(&script)));
    }
}

async fn serve(stream: TcpStream, connection: usize, log: watch::Sender<Vec<Request>>, script: Arc<Script>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, connection).await {
        let before =
            log.borrow().iter().filter(|r| r.method == request.method && r.target == request.target).count();
        let reply = script(&request, before);
        log.send_modify(|log| log.push(request));
        if write(&mut stream, reply).await.is_none() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let (line, headers) = head.split_once("\r\n")?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut request =
        Request { method, target, headers: headers.to_owned(), body: String::new(), connection };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

/// None when the connection is over.
async fn write(stream: &mut BufReader<TcpStream>, reply: Reply) -> Option<()> {
    match reply {
        Reply::Http { status, headers, body } => {
            let extra: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{extra}\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.ok()
        }
        Reply::Raw(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()?;
            None
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
            loop {
                stream.write_all(chunk.as_bytes()).await.ok()?;
            }
        }
        Reply::Stream { begin, again, pause } => {
            stream.write_all(begin.as_bytes()).await.ok()?;
            loop {
                stream.write_all(again.as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Hang => std::future::pending().await,
        Reply::Close => None,
        Reply::After(gate, reply) => {
            gate.acquire().await.ok()?.forget();
            Box::pin(write(stream, *reply)).await
        }
    }
}
