//! A server of the application, which answers by HTTP as the test wants it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Answers with a status, further lines of the head, and a body.
    Status(u16, &'static str, String),
    /// Never answers.
    Hang,
    /// Closes the connection.
    Close,
    /// Answers 200 with this, and closes the connection when the next request comes, without an answer.
    Last(String),
    /// Answers so when it is [told to](TestServer::release).
    Held(Box<Self>),
}

impl Answer {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Status(200, "", body.into())
    }

    pub(crate) fn held(self) -> Self {
        Self::Held(Box::new(self))
    }
}

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The path with the query.
    pub(crate) target: String,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// On which connection, from 1.
    pub(crate) connection: usize,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// The next answers; then the last one again and again.
    answers: VecDeque<Answer>,
    connections: usize,
    /// Whether [`Answer::Held`] ones are given.
    is_released: bool,
}

/// The server. Its threads end with the test.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl TestServer {
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        state.0.lock().unwrap().answers = answers.into_iter().collect();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    /// From now on answers that are held are given.
    pub(crate) fn release(&self) {
        self.state.0.lock().unwrap().is_released = true;
        self.state.1.notify_all();
    }

    /// What was asked so far.
    pub(crate) fn asked_now(&self) -> Vec<Asked> {
        self.state.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked, once there are so many requests.
    pub(crate) fn asked(&self, count: usize) -> Vec<Asked> {
        self.asked_until(|asked| asked.len() >= count)
    }

    /// What was asked, once it is this.
    pub(crate) fn asked_until(&self, is_enough: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let (start, mut state) = (Instant::now(), self.state.0.lock().unwrap());
        while !is_enough(&state.asked) {
            assert!(start.elapsed() < DEADLINE, "{:?}", state.asked);
            state = self
                .state
                .1
                .wait_timeout(state, Duration::from_millis(50))
                .unwrap()
                .0;
        }
        state.asked.clone()
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let connection = {
        let mut state = shared.0.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(asked) = read(&mut reader, connection) {
        let answer = {
            let mut state = shared.0.lock().unwrap();
            state.asked.push(asked);
            shared.1.notify_all();
            match state.answers.len() {
                1 => state.answers[0].clone(),
                _ => state.answers.pop_front().expect("the test says what is answered"),
            }
        };
        let answer = match answer {
            Answer::Held(answer) => {
                let mut state = shared.0.lock().unwrap();
                while !state.is_released {
                    state = shared.1.wait(state).unwrap();
                }
                *answer
            }
            answer => answer,
        };
        match answer {
            Answer::Status(status, head, body) => {
                let len = body.len();
                let text = format!("HTTP/1.1 {status} Text\r\n{head}content-length: {len}\r\n\r\n{body}");
                if stream.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Answer::Hang => {
                // Until the other end gives up.
                let _ = reader.read(&mut [0]);
                return;
            }
            Answer::Last(body) => {
                let text = format!(
                    "HTTP/1.1 200 Text\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(text.as_bytes()).is_ok() {
                    let _ = read(&mut reader, connection);
                }
                return;
            }
            Answer::Close | Answer::Held(_) => return,
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let target = head.split(' ').nth(1)?.to_owned();
    let head = head.to_lowercase();
    let len = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; len.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        target,
        head,
        body: String::from_utf8(body).ok()?,
        connection,
    })
}
