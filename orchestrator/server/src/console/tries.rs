//! What somebody is told who typed a wrong code.

/// Of a code by mail.
pub fn wrong_code(tries_left: i64) -> String {
    format!("That is not the code{}", left(tries_left, ". It is over: ask for a new one"))
}

/// Of a code that an app shows, which another one follows.
pub fn wrong_app_code(tries_left: i64) -> String {
    format!("That is not the code, or it was used{}", left(tries_left, ". No more tries for now"))
}

fn left(tries: i64, none: &str) -> String {
    match tries {
        1 => "; one more try".to_owned(),
        more if more > 1 => format!("; {more} more tries"),
        _ => none.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_try_is_one_try_and_none_is_none() {
        assert_eq!(wrong_code(2), "That is not the code; 2 more tries");
        assert_eq!(wrong_code(1), "That is not the code; one more try");
        assert_eq!(wrong_code(0), "That is not the code. It is over: ask for a new one");
        assert_eq!(wrong_app_code(0), "That is not the code, or it was used. No more tries for now");
    }
}
