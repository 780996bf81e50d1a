//! Lines of at most [`WIDTH`] columns: text in several styles, broken at its spaces.

/// The widest line.
pub(crate) const WIDTH: usize = 100;

/// How a piece of text looks on a terminal with colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Faint,
    Strong,
    Good,
    Pending,
    Bad,
    Name,
}

impl Style {
    /// Its SGR parameters (ECMA-48).
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Faint => Some("2"),
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Pending => Some("33"),
            Self::Bad => Some("31"),
            Self::Name => Some("36"),
        }
    }
}

/// A piece of text in one style.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    style: Style,
    text: String,
}

/// A piece of text.
pub(crate) fn span(style: Style, text: impl Into<String>) -> Span {
    Span { style, text: text.into() }
}

/// The lines of a paragraph, the first after `first`, the others after `rest` blanks. A word that is longer than a line
/// is broken; blanks inside a line are kept, so that columns may be padded.
pub(crate) fn flow(first: &str, rest: usize, spans: &[Span], colour: bool) -> Vec<String> {
    let mut lines = vec![Line::after(first)];
    for span in spans {
        for (index, word) in span.text.split(' ').enumerate() {
            if let Some(line) = lines.last_mut().filter(|_| index > 0) {
                line.blanks += 1;
            }
            for (part, chunk) in chunks(word, WIDTH - rest).into_iter().enumerate() {
                let fits =
                    lines.last().is_some_and(|l| part == 0 && l.used + l.blanks + chunk.chars().count() <= WIDTH);
                if !fits && lines.last().is_some_and(|l| !l.fresh) {
                    lines.push(Line::after(&" ".repeat(rest)));
                }
                if let Some(line) = lines.last_mut() {
                    line.add(span.style, &chunk);
                }
            }
        }
    }
    lines.into_iter().map(|line| line.finished(colour)).collect()
}

/// The word in pieces of at most `size` characters.
fn chunks(word: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(size.max(1)).map(|chunk| chunk.iter().collect()).collect()
}

struct Line {
    pieces: Vec<(Style, String)>,
    used: usize,
    blanks: usize,
    fresh: bool,
}

impl Line {
    fn after(start: &str) -> Self {
        let used = start.chars().count();
        Self { pieces: vec![(Style::Plain, start.to_owned())], used, blanks: 0, fresh: true }
    }

    fn add(&mut self, style: Style, chunk: &str) {
        let blanks = std::mem::take(&mut self.blanks);
        self.used += blanks + chunk.chars().count();
        self.fresh = false;
        match self.pieces.last_mut() {
            Some((last, text)) if *last == style => {
                text.push_str(&" ".repeat(blanks));
                text.push_str(chunk);
            }
            _ => {
                self.pieces.push((Style::Plain, " ".repeat(blanks)));
                self.pieces.push((style, chunk.to_owned()));
            }
        }
    }

    fn finished(self, colour: bool) -> String {
        let mut line = String::new();
        for (style, text) in self.pieces {
            match style.code().filter(|_| colour) {
                Some(code) => line.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
                None => line.push_str(&text),
            }
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_too_wide_and_no_letter_is_lost() {
        let text = format!("a paragraph {} of {} words", "x".repeat(250), "many ".repeat(60));
        for colour in [false, true] {
            let lines = flow("  label     ", 12, &[span(Style::Bad, text.clone()), span(Style::Plain, " end")], colour);
            let bare: Vec<String> = lines.iter().map(|l| l.replace("\x1b[31m", "").replace("\x1b[0m", "")).collect();
            assert!(bare.iter().all(|line| line.chars().count() <= WIDTH), "{bare:#?}");
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&bare.concat()), letters(&format!("label{text}end")));
        }
    }

    #[test]
    fn columns_stay_padded_and_colours_stay_out_of_a_pipe() {
        let spans = [span(Style::Good, format!("{:<6}", "done")), span(Style::Plain, "CreateRoute")];
        assert_eq!(flow("  ", 4, &spans, false), ["  done  CreateRoute"]);
        assert_eq!(flow("  ", 4, &spans, true), ["  \x1b[32mdone\x1b[0m  CreateRoute"]);
    }
}
