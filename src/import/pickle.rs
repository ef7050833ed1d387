//! A gate before the pickle decoder: walks the opcodes of protocols 0 to 5 without building anything.
//!
//! Objects are refused by name, so no class of another program is ever looked up; nesting is bounded, so no file can exhaust
//! the stack; a file that ends early is told with its place.

use serde::de::DeserializeOwned;

use super::ImportError;

/// Data that nests deeper than this is no table of clients.
const DEPTH_MAX: u32 = 64;

/// Reads plain data from a pickle.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ImportError> {
    Gate { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), texts: Default::default() }.walk()?;
    serde_pickle::from_slice(bytes, serde_pickle::DeOptions::new().decode_strings())
        .map_err(|error| malformed(error.to_string()))
}

fn malformed(reason: impl Into<String>) -> ImportError {
    ImportError::Malformed { reason: reason.into() }
}

struct Gate<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How deep each value on the stack nests.
    stack: Vec<u32>,
    marks: Vec<usize>,
    /// The last two texts: module and name of an object.
    texts: [String; 2],
}

impl<'a> Gate<'a> {
    fn walk(&mut self) -> Result<(), ImportError> {
        loop {
            let offset = self.at;
            let opcode = self.take(1)?[0];
            match opcode {
                b'.' => return Ok(()),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                // Numbers and None.
                b'N' | 0x88 | 0x89 => self.stack.push(0),
                b'I' | b'L' | b'F' => self.line().map(|_| self.stack.push(0))?,
                b'J' => self.scalar(4)?,
                b'K' => self.scalar(1)?,
                b'M' => self.scalar(2)?,
                b'G' => self.scalar(8)?,
                0x8a => self.counted(1)?,
                0x8b => self.counted(4)?,
                // Texts and bytes.
                b'S' | b'V' => self.line().map(|_| self.stack.push(0))?,
                b'U' | b'C' | 0x8c => self.counted(1)?,
                b'T' | b'B' | b'X' => self.counted(4)?,
                0x8d | 0x8e | 0x96 => self.counted(8)?,
                // Containers.
                b']' | b'}' | b')' | 0x8f => self.stack.push(1),
                b'(' => self.marks.push(self.stack.len()),
                b'a' => self.fold(1)?,
                b's' => self.fold(2)?,
                b'e' | b'u' | 0x90 => {
                    let n = self.above_mark()?;
                    self.fold(n)?;
                }
                b't' | b'l' | b'd' | 0x91 => {
                    let n = self.above_mark()?;
                    self.wrap(n)?;
                }
                0x85..=0x87 => self.wrap(usize::from(opcode - 0x84))?,
                // The stack and the memo. What is fetched from the memo is a reference, and nests no deeper.
                b'0' => self.pop(1).map(drop)?,
                b'1' => {
                    let n = self.above_mark()?;
                    self.pop(n)?;
                }
                b'2' => {
                    let top = self.pop(1)?;
                    self.stack.extend([top, top]);
                }
                b'p' => drop(self.line()?),
                b'q' => drop(self.take(1)?),
                b'r' => drop(self.take(4)?),
                0x94 => {}
                b'g' => self.line().map(|_| self.stack.push(0))?,
                b'h' => self.scalar(1)?,
                b'j' => self.scalar(4)?,
                // Objects, in the ways in which they are named.
                b'c' | b'i' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let name = format!("{}.{}", String::from_utf8_lossy(module), String::from_utf8_lossy(name));
                    return Err(ImportError::Object { name, offset });
                }
                0x93 => return Err(ImportError::Object { name: self.texts.join("."), offset }),
                b'R' | 0x81 | 0x92 | b'o' | b'b' | b'P' | b'Q' | 0x82..=0x84 | 0x97 | 0x98 => {
                    return Err(ImportError::Object { name: "unnamed".into(), offset });
                }
                other => return Err(malformed(format!("byte {offset} is {other:#04x}, which is no pickle"))),
            }
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], ImportError> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| malformed(format!("it ends at byte {}, in the middle", self.bytes.len())))?;
        self.at += n;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a [u8], ImportError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    fn scalar(&mut self, n: usize) -> Result<(), ImportError> {
        self.take(n)?;
        self.stack.push(0);
        Ok(())
    }

    /// A value whose length stands before it in `width` bytes.
    fn counted(&mut self, width: usize) -> Result<(), ImportError> {
        let mut length = [0; 8];
        length[..width].copy_from_slice(self.take(width)?);
        let text = self.take(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))?;
        // Long texts name no class.
        self.texts.swap(0, 1);
        self.texts[1] = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        self.stack.push(0);
        Ok(())
    }

    fn above_mark(&mut self) -> Result<usize, ImportError> {
        let mark = self.marks.pop().ok_or_else(|| malformed(format!("no group ends at byte {}", self.at)))?;
        self.stack.len().checked_sub(mark).ok_or_else(|| malformed(format!("a group is broken at byte {}", self.at)))
    }

    /// Takes values off the stack; the depth of the deepest.
    fn pop(&mut self, n: usize) -> Result<u32, ImportError> {
        let left = self.stack.len().checked_sub(n);
        let left = left.ok_or_else(|| malformed(format!("a value is missing at byte {}", self.at)))?;
        Ok(self.stack.drain(left..).max().unwrap_or(0))
    }

    /// Puts the upper values into the container below them.
    fn fold(&mut self, n: usize) -> Result<(), ImportError> {
        let inner = self.pop(n)?;
        let outer = self.pop(1)?;
        self.push_container(outer.max(inner + 1))
    }

    /// Makes one container of the upper values.
    fn wrap(&mut self, n: usize) -> Result<(), ImportError> {
        let inner = self.pop(n)?;
        self.push_container(inner + 1)
    }

    fn push_container(&mut self, depth: u32) -> Result<(), ImportError> {
        if depth > DEPTH_MAX {
            return Err(malformed(format!("it nests more than {DEPTH_MAX} deep at byte {}", self.at)));
        }
        self.stack.push(depth);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn fails(bytes: &[u8]) -> String {
        read::<BTreeMap<String, f64>>(bytes).unwrap_err().to_string()
    }

    #[test]
    fn objects_are_refused_by_name() {
        // pickle.dumps of an object whose __reduce__ gives (os.system, ("true",)), protocols 0 and 4.
        assert!(fails(b"cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n.").contains("`posix.system` (byte 0)"));
        let four =
            b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert!(fails(four).contains("`posix.system` (byte 28)"), "{}", fails(four));
        // A numpy scalar, as pickle.dumps(np.float64(1.0), 2) begins.
        assert!(fails(b"\x80\x02cnumpy.core.multiarray\nscalar\nq\0.").contains("numpy.core.multiarray.scalar"));
        for opcode in [b'R', 0x81, b'o', b'b', b'Q', 0x92, 0x97] {
            assert!(fails(&[0x80, 4, opcode, b'.']).contains("object"), "{opcode}");
        }
    }

    #[test]
    fn a_file_that_ends_early_or_is_none_is_told() {
        let whole = b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94G?\xf0\0\0\0\0\0\0s.";
        assert_eq!(read::<BTreeMap<String, f64>>(whole), Ok(BTreeMap::from([("a".to_string(), 1.0)])));
        for length in 0..whole.len() {
            let message = fails(&whole[..length]);
            assert!(message.contains(&format!("it ends at byte {length}, in the middle")), "{message}");
        }
        assert!(fails(b"{\"a\": 1}").contains("which is no pickle"));
        assert!(fails(b"a.").contains("a value is missing at byte 1"));
        assert!(fails(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").contains("it ends at byte 9"));
    }

    #[test]
    fn endless_nesting_does_not_reach_the_stack() {
        let mut deep = vec![b']'; 1_000_000];
        deep.extend(vec![b'a'; 999_999]);
        deep.push(b'.');
        assert!(fails(&deep).contains("nests more than 64 deep"));
        let tuples = [&b"N"[..], &[0x85; 1_000_000], b"."].concat();
        assert!(fails(&tuples).contains("nests more than 64 deep"));
    }
}
