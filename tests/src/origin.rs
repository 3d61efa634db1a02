//! An operator's server: records every request and answers as it is told.

use crate::{
    http::{self, WithoutLength},
    reply::{Ending, Reply},
    wait::PATIENCE,
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The HTTP method.
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// The fields in the order they came.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// When it had come whole.
    pub at: Instant,
}

impl Received {
    /// The first field of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("not JSON ({why}): {}", self.text()))
    }
}

type Rule = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

struct State {
    received: Vec<Received>,
    script: VecDeque<Reply>,
    rule: Arc<Rule>,
    connections: HashMap<usize, TcpStream>,
    accepted: usize,
    at_once: usize,
    most_at_once: usize,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

impl Shared {
    /// A test that has panicked says so itself; the rest need not.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on a loopback port of its own. Answers 200 until it is told otherwise;
/// closed when dropped.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<Listening>,
}

struct Listening {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Default for Origin {
    fn default() -> Self {
        Self::start()
    }
}

impl Origin {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let mut origin = Self {
            address: listener.local_addr().expect("an address"),
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    received: Vec::new(),
                    script: VecDeque::new(),
                    rule: Arc::new(Box::new(|_| Reply::status(200))),
                    connections: HashMap::new(),
                    accepted: 0,
                    at_once: 0,
                    most_at_once: 0,
                }),
                news: Condvar::new(),
            }),
            listening: None,
        };
        origin.listen_on(listener);
        origin
    }

    /// `http://127.0.0.1:port` and this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next request without an answer of its own with this; several
    /// are used up in order.
    pub fn then(&self, reply: Reply) -> &Self {
        self.shared.state().script.push_back(reply);
        self
    }

    /// Answers everything that is not scripted with this.
    pub fn always(&self, reply: Reply) -> &Self {
        self.answer_with(move |_| reply.clone())
    }

    /// Answers everything that is not scripted with what `rule` says.
    pub fn answer_with(&self, rule: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> &Self {
        self.shared.state().rule = Arc::new(Box::new(rule));
        self
    }

    /// Everything that has come, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// How many requests have come.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().received.len()
    }

    /// How many requests were open at the same time, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.state().most_at_once
    }

    /// Forgets what has come.
    pub fn forget(&self) {
        let mut state = self.shared.state();
        state.received.clear();
        state.most_at_once = state.at_once;
    }

    /// Waits until at least `count` requests have come, and returns all.
    ///
    /// # Panics
    /// When they do not come within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_for_within(count, PATIENCE)
    }

    /// Waits that long until at least `count` requests have come.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_within(&self, count: usize, patience: Duration) -> Vec<Received> {
        let limit = Instant::now() + patience;
        let mut state = self.shared.state();
        loop {
            if state.received.len() >= count {
                return state.received.clone();
            }
            let left = limit.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the origin waited {} s for {count} requests and got {}: {:#?}",
                patience.as_secs_f32(),
                state.received.len(),
                state.received
            );
            (state, _) = self
                .shared
                .news
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until nothing has come for so long, and returns how much has.
    #[must_use]
    pub fn quiet_for(&self, long: Duration) -> usize {
        let mut state = self.shared.state();
        loop {
            let count = state.received.len();
            let (now, waited) = self
                .shared
                .news
                .wait_timeout(state, long)
                .unwrap_or_else(PoisonError::into_inner);
            state = now;
            if waited.timed_out() && state.received.len() == count {
                return count;
            }
        }
    }

    /// Is down: connections are refused and those that are open are broken.
    pub fn go_down(&mut self) {
        let Some(listening) = self.listening.take() else {
            return;
        };
        listening.stop.store(true, Ordering::SeqCst);
        // The one who listens is waiting for a connection: here it is.
        let _ = TcpStream::connect(self.address);
        let _ = listening.thread.join();
        for (_, connection) in self.shared.state().connections.drain() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Is back, at the same address.
    ///
    /// # Panics
    /// When somebody else has taken it meanwhile.
    pub fn come_back(&mut self) {
        if self.listening.is_none() {
            self.listen_on(TcpListener::bind(self.address).expect("the same port again"));
        }
    }

    fn listen_on(&mut self, listener: TcpListener) {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&self.shared));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = {
                    let mut state = shared.state();
                    state.accepted += 1;
                    let number = state.accepted;
                    if let Ok(other_end) = stream.try_clone() {
                        state.connections.insert(number, other_end);
                    }
                    number
                };
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // A connection that ends badly has ended.
                    let _ = serve(&stream, &shared);
                    shared.state().connections.remove(&number);
                });
            }
        });
        self.listening = Some(Listening { stop, thread });
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.go_down();
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = http::read_head(&mut reader)? {
        let mut words = head.first_line.split(' ').map(str::to_owned);
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if http::header(&head.headers, "expect").is_some() {
            (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = http::read_body(&mut reader, &head, WithoutLength::Empty)?;
        let received = Received {
            method,
            target,
            headers: head.headers,
            body,
            at: Instant::now(),
        };
        let reply = note(shared, received);
        thread::sleep(reply.delay);
        // Who reads a whole answer may ask again at once: that is one after the
        // other. Any other request is open until it is given up.
        let whole = reply.ending == Ending::Whole;
        if whole {
            shared.state().at_once -= 1;
        }
        let kept = answer(stream, &reply);
        if !whole {
            shared.state().at_once -= 1;
        }
        if !kept? {
            break;
        }
    }
    Ok(())
}

/// Writes a request down and looks up what to do with it.
fn note(shared: &Shared, received: Received) -> Reply {
    let (scripted, rule) = {
        let mut state = shared.state();
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
        (state.script.pop_front(), Arc::clone(&state.rule))
    };
    let reply = scripted.unwrap_or_else(|| rule(&received));
    shared.state().received.push(received);
    shared.news.notify_all();
    reply
}

/// Answers; says whether the connection is kept.
fn answer(mut stream: &TcpStream, reply: &Reply) -> io::Result<bool> {
    match reply.ending {
        Ending::Silence => return until_given_up(stream),
        Ending::Closed => return Ok(false),
        Ending::Garbage => return stream.write_all(&reply.body).map(|()| false),
        Ending::Whole | Ending::Cut | Ending::Stalled => {}
    }
    let whole = reply.ending == Ending::Whole;
    let mut message = format!("HTTP/1.1 {} Scripted\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        message.extend(format!("{name}: {value}\r\n").as_bytes());
    }
    if reply.status != 204 && reply.status != 304 {
        let length = reply.body.len() + usize::from(!whole);
        message.extend(format!("content-length: {length}\r\n").as_bytes());
    }
    message.extend(b"\r\n");
    message.extend(&reply.body);
    stream.write_all(&message)?;
    match reply.ending {
        Ending::Stalled => until_given_up(stream),
        _ => Ok(whole),
    }
}

fn until_given_up(mut stream: &TcpStream) -> io::Result<bool> {
    let mut rest = [0; 512];
    while stream.read(&mut rest)? > 0 {}
    Ok(false)
}
