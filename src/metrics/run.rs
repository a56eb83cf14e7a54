//! Equal things in a row, counted before they are recorded.

/// A run of equal things. Requests that came together mostly measure the same.
#[derive(Debug)]
pub struct Run<T> {
    of: Option<T>,
    length: u64,
}

impl<T> Default for Run<T> {
    fn default() -> Self {
        Run {
            of: None,
            length: 0,
        }
    }
}

impl<T: Copy + PartialEq> Run<T> {
    /// One more; gives back the run before this one if it is not of the same.
    pub fn add(&mut self, one: T) -> Option<(T, u64)> {
        if self.of == Some(one) {
            self.length += 1;
            return None;
        }
        let before = self.take();
        (self.of, self.length) = (Some(one), 1);
        before
    }

    /// Gives back the run there is, and begins anew.
    pub fn take(&mut self) -> Option<(T, u64)> {
        let length = std::mem::take(&mut self.length);
        self.of.take().map(|one| (one, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_the_first_thing_that_differs() {
        let mut run = Run::default();
        assert_eq!((run.add(1), run.add(1)), (None, None));
        assert_eq!(run.add(2), Some((1, 2)));
        assert_eq!((run.take(), run.take()), (Some((2, 1)), None));
    }
}
