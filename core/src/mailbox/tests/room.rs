//! What an event takes on disk: docs/scale.md counts with it.

use super::*;
use crate::time::DAY;

const EVENTS: u32 = 1_000;

#[test]
fn an_event_of_2_kb_takes_a_page() {
    let mut rig = Rig::new(1);
    let room = |rig: &Rig| rig.db.bytes().unwrap() / i64::from(EVENTS);
    for number in 0..EVENTS {
        rig.offer(vec![event(&number.to_string(), &[b'x'; 2_048])]);
        rig.run(200);
        rig.wait(millis(10));
    }
    let kept = |rig: &Rig| rig.number("SELECT count(*) FROM events WHERE envelope IS NOT NULL");
    assert_eq!(kept(&rig), i64::from(EVENTS));
    let whole = room(&rig);

    rig.wait(DAY * 31);
    for _ in 0..EVENTS {
        rig.mailbox.tend(&rig.db, rig.now).unwrap();
        rig.wait(millis(60_000));
    }
    assert_eq!((kept(&rig), rig.count("events")), (0, i64::from(EVENTS)));
    println!("{whole} bytes with its payload, {} without", room(&rig));
    assert!((4_096..4_300).contains(&whole), "{whole}");
}
