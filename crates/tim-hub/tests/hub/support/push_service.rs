//! A push service: a server by HTTP/1.1 or HTTP/2, with or without TLS, which answers as the test wants it.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tim_hub::tls::{HubTls, TlsProtocol};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Answer, DEADLINE};

/// What a push service was asked.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    /// The path with the query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// On which connection, from 1.
    pub(crate) connection: usize,
}

impl Pushed {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct State {
    asked: Vec<Pushed>,
    /// The next answers; then the last one again and again.
    answers: VecDeque<Answer>,
    connections: usize,
}

/// The server. It ends with the test.
pub(crate) struct PushService {
    pub(crate) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl PushService {
    /// HTTP/2 from the first byte.
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_with(answers, None, TlsProtocol::Http2)
    }

    pub(crate) fn start_tls(
        answers: impl IntoIterator<Item = Answer>,
        tls: HubTls,
        protocol: TlsProtocol,
    ) -> Self {
        Self::start_with(answers, Some(tls), protocol)
    }

    fn start_with(
        answers: impl IntoIterator<Item = Answer>,
        tls: Option<HubTls>,
        protocol: TlsProtocol,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        state.0.lock().unwrap().answers = answers.into_iter().collect();
        let shared = Arc::clone(&state);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let acceptor = tls.map(|tls| tls.acceptor(protocol));
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let shared = Arc::clone(&shared);
                        match &acceptor {
                            Some(acceptor) => tokio::spawn(serve(acceptor.accept(stream), protocol, shared)),
                            None => tokio::spawn(serve(stream, protocol, shared)),
                        };
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            _stop: stop,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it answers from now on.
    pub(crate) fn set(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.0.lock().unwrap().answers = answers.into_iter().collect();
    }

    /// What was asked, once there are so many requests.
    pub(crate) fn asked(&self, count: usize) -> Vec<Pushed> {
        let (start, mut state) = (Instant::now(), self.state.0.lock().unwrap());
        while state.asked.len() < count {
            assert!(start.elapsed() < DEADLINE, "{:?}", state.asked);
            let waited = self.state.1.wait_timeout(state, Duration::from_millis(50));
            state = waited.unwrap().0;
        }
        state.asked.clone()
    }
}

async fn serve<L>(link: L, protocol: TlsProtocol, shared: Arc<(Mutex<State>, Condvar)>)
where
    L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let number = {
        let mut state = shared.0.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    let close = Arc::new(Notify::new());
    let closed = Arc::clone(&close);
    let service = service_fn(move |request| answer(request, number, Arc::clone(&shared), Arc::clone(&close)));
    let link = TokioIo::new(link);
    let serving: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> = match protocol {
        TlsProtocol::Http2 => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            Box::pin(builder.serve_connection(link, service))
        }
        _ => Box::pin(hyper::server::conn::http1::Builder::new().serve_connection(link, service)),
    };
    tokio::select! {
        _ = serving => {}
        () = closed.notified() => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    shared: Arc<(Mutex<State>, Condvar)>,
    close: Arc<Notify>,
) -> Result<Response<Text>, Infallible> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut asked = Pushed {
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: headers.collect(),
        body: Vec::new(),
        connection,
    };
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(frame) = frame else { break };
        asked.body.extend_from_slice(frame.data_ref().unwrap());
    }
    let answer = {
        let mut state = shared.0.lock().unwrap();
        state.asked.push(asked);
        shared.1.notify_all();
        match state.answers.len() {
            1 => state.answers[0].clone(),
            _ => state.answers.pop_front().expect("the test says what is answered"),
        }
    };
    match answer {
        Answer::Status(status, head, body) => {
            let mut response = Response::builder().status(status);
            for line in head.lines() {
                let (name, value) = line.split_once(": ").unwrap();
                response = response.header(name, value);
            }
            Ok(response.body(Text(Some(body.into()))).unwrap())
        }
        Answer::Close => {
            close.notify_one();
            std::future::pending().await
        }
        Answer::Hang | Answer::Held(_) | Answer::Last(_) => std::future::pending().await,
    }
}

struct Text(Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
