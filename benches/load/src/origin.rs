//! The origin: takes what is relayed, as it is told to, and notes when what came.

use crate::{event::SEQUENCE, figures::Times, http::Reader};
use serde::Deserialize;
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How the origin behaves from now on.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Script {
    /// How long it thinks about each request.
    delay_ms: u64,
    /// It answers so many first attempts of each event with 500.
    fail_attempts: u64,
}

/// See the [module](self).
pub(crate) struct Origin {
    port: u16,
    script: Arc<Mutex<Script>>,
}

impl Origin {
    /// Listens on a free port, a thread for each connection.
    pub(crate) fn start(times: Times) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let script = Arc::new(Mutex::new(Script::default()));
        let followed = script.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (times, script) = (times.clone(), followed.clone());
                // A connection that breaks is the station's to make anew.
                std::thread::spawn(move || serve(stream, &times, &script));
            }
        });
        Self { port, script }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn follow(&self, script: Script) {
        *self.script.lock().expect("nobody panics with it") = script;
    }
}

fn serve(mut stream: TcpStream, times: &Times, script: &Mutex<Script>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream.try_clone()?);
    while let Some(request) = reader.next()? {
        let came = Instant::now();
        let number = |name| request.header(name).and_then(|text| text.parse().ok());
        if let Some(sequence) = number(SEQUENCE) {
            times.arrived(sequence, came);
        }
        let script = *script.lock().expect("nobody panics with it");
        if script.delay_ms > 0 {
            std::thread::sleep(Duration::from_millis(script.delay_ms));
        }
        let failed =
            number("x-tram-attempt").is_some_and(|attempt: u64| attempt <= script.fail_attempts);
        let answer: &[u8] = if failed {
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        stream.write_all(answer)?;
    }
    Ok(())
}
