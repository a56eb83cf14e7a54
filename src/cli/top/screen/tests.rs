//! What stands on a terminal of a given size.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::cli::top::picture::{HotLines, PathLine, ServerLine, SessionLine, StageLine};

fn picture() -> Picture {
    let server = |address: &str, state: &str| ServerLine {
        address: address.into(),
        state: state.into(),
        zxid: Some("0x100000007".into()),
        connections: Some(12),
        requests_per_second: Some(1234.0),
        p50_seconds: Some(0.000_4),
        p99_seconds: Some(0.012),
        outstanding: Some(3),
        memory_bytes: Some(123 << 20),
        fsync_p99_seconds: Some(0.004),
        ..ServerLine::default()
    };
    let path = |path: &str, reads| PathLine {
        path: path.into(),
        reads,
        writes: 7.0,
        writes_error: 2.0,
        ..PathLine::default()
    };
    let stage = |stage: &str, p99_seconds| StageLine {
        server: "zk1:8080".into(),
        stage: stage.into(),
        per_second: 1200.0,
        p99_seconds,
        ..StageLine::default()
    };
    let session = |client: &str, rate| SessionLine {
        client: client.into(),
        session: "0x1000".into(),
        requests_per_second: Some(rate),
        last_operation: "GETD".into(),
        ..SessionLine::default()
    };
    let mut dead = server("zk2:8080", "no answer");
    dead.problem = Some("cannot be reached: Connection refused".into());
    Picture {
        servers: vec![server("zk1:8080", "leader"), dead],
        sessions: vec![session("10.0.0.1:1", 5.0), session("10.0.0.2:2", 50.0)],
        hot: HotLines {
            window_seconds: Some(10.0),
            sampled_one_in: 8,
            paths: vec![path("/cool", 1.0), path("/hot\u{1b}[2J", 900.0)],
        },
        stages: vec![stage("queue", 0.001), stage("log", 0.025)],
    }
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// The lines on a terminal of this size, and the colour each begins with.
fn drawn(screen: &Screen, width: u16, height: u16) -> Vec<(String, Color)> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y: u16| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        let text: String = cells.collect();
        (text.trim_end().to_owned(), buffer[(0, y)].fg)
    };
    (0..height).map(line).collect()
}

fn texts(screen: &Screen, width: u16, height: u16) -> String {
    let lines = drawn(screen, width, height).into_iter();
    lines.map(|(text, _)| text + "\n").collect()
}

fn shows(pane: char, width: u16, height: u16, wanted: &str) {
    let mut screen = Screen::new(picture(), true);
    screen.press(key(KeyCode::Char(pane)));
    let text = texts(&screen, width, height);
    let wanted = wanted.trim_start_matches('\n');
    assert_eq!(text.trim_end(), wanted.trim_end(), "\n{text}");
}

#[test]
fn the_servers_come_first_with_hot_paths_and_stages_below() {
    shows(
        '1',
        100,
        14,
        "
oxkeeper top   1 servers   2 sessions   3 hot paths   4 stages
server    state      zxid         clients  req/s    p50     p99  waiting  memory  fsync p99
zk1:8080  leader     0x100000007       12   1.2k  400\u{b5}s  12.0ms        3    123M     4.00ms
zk2:8080  no answer  cannot be reached: Connection refused

path           reads/s  writes/s      children/s
/hot\\u{1b}[2J      900         7  \u{b1}2
/cool                1         7  \u{b1}2

stage  server    per s  mean  p50     p99  max
log    zk1:8080   1.2k   0\u{b5}s  0\u{b5}s  25.0ms  0\u{b5}s
queue  zk1:8080   1.2k   0\u{b5}s  0\u{b5}s  1.00ms  0\u{b5}s

q quit  Tab 1-4 pane  s sort: as given  p pause  \u{2191}\u{2193} scroll
",
    );
}

#[test]
fn the_other_panes_stand_below_the_servers() {
    shows(
        '2',
        60,
        12,
        "
oxkeeper top   1 servers   2 sessions   3 hot paths   4 stag
server    state      clients  req/s    p50     p99  waiting
zk1:8080  leader          12   1.2k  400\u{b5}s  12.0ms        3
zk2:8080  no answer  cannot be reached: Connection refused

client      session  req/s  mean ms  max ms  waiting  last
10.0.0.2:2  0x1000      50        0       0        0  GETD
10.0.0.1:1  0x1000       5        0       0        0  GETD



q quit  Tab 1-4 pane  s sort: requests  p pause  \u{2191}\u{2193} scroll
",
    );
    shows(
        '3',
        50,
        6,
        "
oxkeeper top   1 servers   2 sessions   3 hot path
path           reads/s  writes/s      children/s
/hot\\u{1b}[2J      900         7  \u{b1}2
/cool                1         7  \u{b1}2

q quit  Tab 1-4 pane  s sort: all  p pause  \u{2191}\u{2193} scr
",
    );
    shows(
        '4',
        40,
        3,
        "
oxkeeper top   1 servers   2 sessions
stage  server    per s  mean     p99
log    zk1:8080   1.2k   0\u{b5}s  25.0ms
",
    );
}

#[test]
fn a_dead_server_is_red_and_on_a_terminal_without_colours_bold() {
    let lines = drawn(&Screen::new(picture(), true), 80, 12);
    assert!(
        lines[3]
            .0
            .starts_with("zk2:8080  no answer  cannot be reached"),
        "{lines:?}"
    );
    assert_eq!((lines[2].1, lines[3].1), (Color::Reset, Color::Red));
    let plain = drawn(&Screen::new(picture(), false), 80, 12);
    assert!(plain.iter().all(|(_, colour)| *colour == Color::Reset));
}

#[test]
fn a_terminal_of_any_size_will_do() {
    for (width, height) in [(20, 5), (1, 1), (2, 40), (300, 2), (120, 60), (10, 3)] {
        for pane in Pane::ALL {
            for picture in [picture(), Picture::default()] {
                let mut screen = Screen::new(picture, true);
                screen.pane = pane;
                screen.scrolled = [9; 4];
                drawn(&screen, width, height);
            }
        }
    }
}

#[test]
fn what_there_is_nothing_of_is_said() {
    let mut screen = Screen::new(Picture::default(), true);
    screen.press(key(KeyCode::Char('3')));
    assert!(texts(&screen, 80, 10).contains("\nasking\n"));
    let java = Picture {
        servers: picture().servers,
        ..Picture::default()
    };
    screen.update(java);
    assert!(texts(&screen, 80, 10).contains("no server that answers tells of hot paths"));
}

#[test]
fn keys_choose_sort_scroll_and_end() {
    let mut screen = Screen::new(picture(), true);
    assert_eq!(screen.press(key(KeyCode::BackTab)), Outcome::Stay);
    assert_eq!(screen.pane, Pane::Stages);
    screen.press(key(KeyCode::Tab));
    screen.press(key(KeyCode::Tab));
    assert_eq!(screen.pane, Pane::Sessions);
    assert_eq!(
        screen.picture.sessions[0].client, "10.0.0.2:2",
        "most requests first"
    );
    for _ in 0..5 {
        screen.press(key(KeyCode::Down));
    }
    assert_eq!(screen.scrolled, [0, 1, 0, 0], "one row stays");
    screen.press(key(KeyCode::Char('s')));
    assert_eq!((screen.orders, screen.scrolled), ([0, 1, 0, 0], [0; 4]));
    for _ in 0..3 {
        screen.press(key(KeyCode::Char('s')));
    }
    assert_eq!(screen.orders, [0; 4]);
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(screen.press(key(code)), Outcome::Quit);
    }
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.press(interrupt), Outcome::Quit);
    assert_eq!(screen.press(key(KeyCode::Char('c'))), Outcome::Stay);
}

#[test]
fn while_paused_nothing_moves_and_afterwards_the_newest_is_shown() {
    let mut screen = Screen::new(picture(), true);
    screen.press(key(KeyCode::Char('p')));
    screen.update(Picture::default());
    assert!(texts(&screen, 100, 12).contains("zk1:8080"));
    assert!(texts(&screen, 100, 12).contains("paused"));
    screen.press(key(KeyCode::Char('p')));
    assert!(!texts(&screen, 100, 12).contains("zk1:8080"));
}
