//! Pictures of the pizzas, drawn as SVG.

use std::fmt::Write as _;

/// What lies on a pizza: how many of it, how far from the middle, and how one looks.
struct Topping {
    count: u32,
    reach: f64,
    /// Where the first lies, so that two toppings do not lie on each other.
    turn: f64,
    look: &'static str,
}

const BASIL: &str = r##"<path d="M-9 0Q0-8 9 0Q0 8-9 0z" fill="#3c8b4d"/><path d="M-7 0H7" stroke="#2b6a38" stroke-width="1"/>"##;
const CHEESE: &str =
    r##"<ellipse rx="13" ry="10" fill="#fff6e0"/><ellipse cx="-3" cy="-2" rx="5" ry="3" fill="#fffdf5"/>"##;
const GARLIC: &str = r##"<ellipse rx="5" ry="3" fill="#f7ead0"/>"##;
const HERB: &str = r##"<path d="M-3 0H3" stroke="#4d7b3a" stroke-width="2.4" stroke-linecap="round"/>"##;
const SALAMI: &str = r##"<circle r="13" fill="#b3261b"/><circle r="13" fill="none" stroke="#8d1a12" stroke-width="2"/><circle cx="-4" cy="-3" r="2" fill="#d9685a"/><circle cx="5" cy="3" r="1.6" fill="#d9685a"/><circle cx="1" cy="-6" r="1.3" fill="#d9685a"/>"##;
const CHILI: &str =
    r##"<path d="M-8 2Q0-6 8 2" stroke="#d8402b" stroke-width="3.4" fill="none" stroke-linecap="round"/>"##;
const BEEF: &str = r##"<path d="M-13-3Q-4-9 5-5T13 3Q4 9-4 5T-13-3z" fill="#6f4327"/><path d="M-8-2Q0-4 7 1" stroke="#8f5d3a" stroke-width="2" fill="none"/>"##;
const SCALLION: &str = r##"<circle r="4" fill="none" stroke="#6dae4f" stroke-width="2.6"/>"##;
const SESAME: &str = r##"<ellipse rx="2.4" ry="1.3" fill="#fbf0d2"/>"##;
const WEDGE: &str =
    r##"<path d="M-13 5Q0-12 13 5Q0 9-13 5z" fill="#f0c25a" stroke="#b98b2c" stroke-width="1.6"/>"##;
const CORN: &str = r##"<circle r="3.2" fill="#ffd95a"/>"##;
const TRUFFLE: &str = r##"<ellipse rx="11" ry="9" fill="#3a3029"/><path d="M-6 0Q0-5 6 1M-4 4Q1 1 5 5" stroke="#6f6156" stroke-width="1.4" fill="none"/>"##;
const MUSHROOM: &str = r##"<path d="M-10 2A10 9 0 0 1 10 2zM-3 2H3V9H-3z" fill="#d8c3a3" stroke="#a98e69" stroke-width="1.3"/>"##;
const ROCKET: &str = r##"<path d="M-11 0Q-6-5-2 0Q3-6 6-1L12 0 6 1Q3 6-2 0Q-6 5-11 0z" fill="#5c9a45"/>"##;

const fn on(count: u32, reach: f64, turn: f64, look: &'static str) -> Topping {
    Topping { count, reach, turn, look }
}

/// The pizza with this number, if it is on the menu.
pub(super) fn of(id: u32) -> Option<String> {
    let (sauce, toppings): (&str, &[Topping]) = match id {
        1 => ("#d9472b", &[on(9, 70.0, 0.0, CHEESE), on(6, 58.0, 1.1, BASIL)]),
        2 => ("#cf3d22", &[on(16, 76.0, 0.4, GARLIC), on(22, 78.0, 2.0, HERB)]),
        3 => ("#e08a3c", &[on(10, 72.0, 0.0, SALAMI), on(9, 70.0, 1.3, CHILI)]),
        4 => ("#e2a44a", &[on(12, 74.0, 0.2, BEEF), on(10, 70.0, 1.4, SCALLION), on(20, 78.0, 2.6, SESAME)]),
        5 => ("#f0cd7a", &[on(9, 70.0, 0.0, WEDGE), on(22, 76.0, 1.2, CORN), on(12, 74.0, 2.2, HERB)]),
        6 => ("#f1e0b4", &[on(8, 68.0, 0.0, TRUFFLE), on(6, 60.0, 1.5, MUSHROOM), on(7, 74.0, 2.4, ROCKET)]),
        _ => return None,
    };
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="-130 -108 260 216"><ellipse cy="12" rx="106" ry="94" fill="#0002"/><circle r="100" fill="#c98a45"/><circle r="100" fill="none" stroke="#a96a2b" stroke-width="3"/><circle r="88" fill="{sauce}"/><circle r="80" fill="#ffffff22"/>"##
    );
    for topping in toppings {
        scatter(&mut svg, topping);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Lays out evenly, as sunflowers lay out their seeds.
fn scatter(svg: &mut String, topping: &Topping) {
    const GOLDEN: f64 = 2.399_963;
    for index in 0..topping.count {
        let number = f64::from(index);
        let far = topping.reach * ((number + 0.5) / f64::from(topping.count)).sqrt();
        let angle = number * GOLDEN + topping.turn;
        let (x, y, turned) = (far * angle.cos(), far * angle.sin(), (number * 67.0) % 360.0);
        let _ =
            write!(svg, r#"<g transform="translate({x:.1} {y:.1}) rotate({turned})">{}</g>"#, topping.look);
    }
}
