//! A URL as a picture that a phone reads from the terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Longest text that still makes a picture smaller than a common terminal, in bytes.
const BYTES: usize = 200;

/// Two modules in each character, black on white whatever the terminal's colours are. Nothing for a text that is too long.
pub fn picture(text: &str) -> Option<String> {
    if text.len() > BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code.render::<Dense1x2>().quiet_zone(true).dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    Some(drawn.lines().map(|line| format!("\u{1b}[30;107m{line}\u{1b}[0m\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_fits_a_terminal_and_a_book_does_not() {
        let drawn = picture("https://purser.example.test/device?user_code=WDJB-MJHT").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines.len() < 24 && lines.iter().all(|line| line.chars().count() < 80), "{} lines", lines.len());
        assert!(drawn.contains('\u{2588}') && drawn.contains('\u{2580}'));
        assert!(picture(&"x".repeat(201)).is_none());
    }

    /// What a camera sees of a character: its upper and its lower half, in the foreground's black or the background's white.
    fn halves(character: char) -> [bool; 2] {
        match character {
            '\u{2588}' => [true, true],
            '\u{2580}' => [true, false],
            '\u{2584}' => [false, true],
            ' ' => [false, false],
            other => panic!("`{other}` is no part of a picture"),
        }
    }

    #[test]
    fn a_phone_reads_the_url_from_the_terminal() {
        const URL: &str = "https://purser.example.test/device?user_code=WDJB-MJHT";
        /// Pixels of a camera for each module.
        const SCALE: usize = 4;
        let drawn = picture(URL).unwrap();
        let plain = drawn.replace("\u{1b}[30;107m", "").replace("\u{1b}[0m", "");
        let rows: Vec<Vec<bool>> = plain
            .lines()
            .flat_map(|line| [0, 1].map(|half| line.chars().map(|character| halves(character)[half]).collect::<Vec<bool>>()))
            .collect();
        let (width, height) = (rows[0].len() * SCALE, rows.len() * SCALE);
        let grey = |x: usize, y: usize| if rows[y / SCALE][x / SCALE] { 0 } else { 255 };
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
        let grids = seen.detect_grids();
        assert_eq!(grids.len(), 1, "one code is seen");
        assert_eq!(grids[0].decode().unwrap().1, URL);
    }
}
