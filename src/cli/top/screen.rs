//! What is on the terminal, and what the keys do.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::pane::Pane;
use super::picture::Picture;
use super::sheet::Tone;

/// What the user chose.
#[derive(Debug)]
pub struct Screen {
    /// The pane that keys are for.
    pane: Pane,
    /// The order of each.
    orders: [usize; 4],
    /// Rows that are scrolled over, of each.
    scrolled: [usize; 4],
    /// What is shown stays.
    paused: bool,
    /// With colours, unless the user wants none (`NO_COLOR`).
    coloured: bool,
    picture: Picture,
    /// What came since it was paused.
    newer: Option<Picture>,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Stay,
    /// The user has seen enough.
    Quit,
}

/// Below the servers, room for this many lines is worth a second table.
const WORTH: u16 = 4;

/// With this many columns, two tables stand beside each other.
const WIDE: u16 = 110;

impl Screen {
    /// The servers first.
    pub fn new(picture: Picture, coloured: bool) -> Screen {
        let mut screen = Screen {
            pane: Pane::Servers,
            orders: [0; 4],
            scrolled: [0; 4],
            paused: false,
            coloured,
            picture,
            newer: None,
        };
        screen.sort();
        screen
    }

    /// There is something new to be shown.
    pub fn update(&mut self, picture: Picture) {
        if self.paused {
            self.newer = Some(picture);
            return;
        }
        self.picture = picture;
        self.sort();
    }

    fn sort(&mut self) {
        for (pane, order) in Pane::ALL.iter().zip(self.orders) {
            pane.sort(&mut self.picture, order);
        }
    }

    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Outcome {
        let own = self.pane as usize;
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Outcome::Quit;
            }
            KeyCode::Char('q') | KeyCode::Esc => return Outcome::Quit,
            KeyCode::Char(digit @ '1'..='4') => {
                self.pane = Pane::ALL[digit as usize - '1' as usize];
            }
            KeyCode::Tab => self.pane = Pane::ALL[(own + 1) % 4],
            KeyCode::BackTab => self.pane = Pane::ALL[(own + 3) % 4],
            KeyCode::Char('s') => {
                self.orders[own] = (self.orders[own] + 1) % self.pane.orders().len();
                self.scrolled[own] = 0;
                self.sort();
            }
            KeyCode::Char('p') => {
                self.paused = !self.paused;
                if let Some(newer) = self.newer.take() {
                    self.update(newer);
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::PageDown => self.scroll(10),
            KeyCode::PageUp => self.scroll(-10),
            KeyCode::Home => self.scrolled[own] = 0,
            _ => {}
        }
        Outcome::Stay
    }

    fn scroll(&mut self, rows: isize) {
        let all = self.pane.sheet(&self.picture).rows.len();
        let scrolled = &mut self.scrolled[self.pane as usize];
        *scrolled = scrolled
            .saturating_add_signed(rows)
            .min(all.saturating_sub(1));
    }

    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame) {
        let area = frame.area();
        let row = |y: u16| Rect {
            y: area.y + y,
            height: 1.min(area.height.saturating_sub(y)),
            ..area
        };
        frame.render_widget(self.head(), row(0));
        if area.height > 3 {
            frame.render_widget(self.foot(), row(area.height - 1));
        }
        let feet = if area.height > 3 { 2 } else { 1 };
        let mut body = Rect {
            y: area.y + 1.min(area.height),
            height: area.height.saturating_sub(feet),
            ..area
        };
        if self.pane != Pane::Servers {
            let servers = self.picture.servers.len() as u16 + 1;
            if body.height > servers + 1 + WORTH {
                self.table(frame, Pane::Servers, take_top(&mut body, servers + 1));
            }
            self.table(frame, self.pane, body);
            return;
        }
        let servers = (self.picture.servers.len() as u16 + 2).min(body.height);
        self.table(frame, Pane::Servers, take_top(&mut body, servers));
        if body.height < WORTH {
            return;
        }
        let (mut first, mut second) = (body, body);
        if body.width >= WIDE {
            first.width = body.width / 2 - 1;
            second.x += body.width / 2 + 1;
            second.width = body.width.saturating_sub(body.width / 2 + 1);
        } else {
            first.height = body.height / 2;
            second.y += first.height;
            second.height -= first.height;
        }
        self.table(frame, Pane::HotPaths, first);
        self.table(frame, Pane::Stages, second);
    }

    fn head(&self) -> Line<'static> {
        let mut spans = vec![Span::styled(
            "oxkeeper top ",
            Style::new().add_modifier(Modifier::BOLD),
        )];
        for (number, pane) in (1..).zip(Pane::ALL) {
            let style = match pane == self.pane {
                true => Style::new().add_modifier(Modifier::REVERSED),
                false => Style::new(),
            };
            spans.push(Span::raw(" "));
            let title = format!(" {number} {} ", pane.title());
            spans.push(Span::styled(title, style));
        }
        if self.paused {
            let style = self.tone(Color::Yellow).add_modifier(Modifier::BOLD);
            spans.push(Span::styled("  paused", style));
        }
        Line::from(spans)
    }

    fn foot(&self) -> Line<'static> {
        let order = self.pane.orders().get(self.orders[self.pane as usize]);
        let order = order.copied().unwrap_or_default();
        let keys = format!(
            "q quit  Tab 1-4 pane  s sort: {order}  p pause  \u{2191}\u{2193} scroll{}",
            self.sampling()
        );
        Line::styled(keys, Style::new().add_modifier(Modifier::DIM))
    }

    /// How well hot paths are known.
    fn sampling(&self) -> String {
        let hot = &self.picture.hot;
        match (self.pane, hot.window_seconds) {
            (Pane::HotPaths, Some(seconds)) => format!(
                "   last {seconds:.0} s, one request in {}",
                hot.sampled_one_in
            ),
            _ => String::new(),
        }
    }

    fn tone(&self, colour: Color) -> Style {
        match self.coloured {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn table(&self, frame: &mut Frame, pane: Pane, area: Rect) {
        if area.is_empty() {
            return;
        }
        let sheet = pane.sheet(&self.picture);
        let mut lines = sheet.lines(usize::from(area.width)).into_iter();
        let titles = lines.next();
        let mut rows = vec![titles.unwrap_or_else(|| (String::new(), Tone::Title))];
        if sheet.rows.is_empty() {
            rows.push((pane.nothing(&self.picture).to_owned(), Tone::Plain));
        }
        let scrolled = self.scrolled[pane as usize].min(sheet.rows.len().saturating_sub(1));
        rows.extend(lines.skip(scrolled));
        for (y, (text, tone)) in (0..area.height).zip(rows) {
            let style = match tone {
                Tone::Title => self.tone(Color::Cyan).add_modifier(Modifier::BOLD),
                Tone::Plain => Style::new(),
                Tone::Bad => self.tone(Color::Red).add_modifier(Modifier::BOLD),
            };
            let line = Rect {
                y: area.y + y,
                height: 1,
                ..area
            };
            frame.render_widget(Line::styled(text, style), line);
        }
    }
}

/// Cuts so many lines off the top of `area`.
fn take_top(area: &mut Rect, height: u16) -> Rect {
    let height = height.min(area.height);
    let top = Rect { height, ..*area };
    area.y += height;
    area.height -= height;
    top
}

#[cfg(test)]
mod tests;
