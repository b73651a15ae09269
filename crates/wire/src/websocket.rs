//! WebSocket (RFC 6455) as far as a gateway in between needs it: the handshake's fields, and the headers of the
//! frames that pass. Content is neither copied nor looked at.

/// What ends a tunnel from the gateway's side (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The gateway stops, or the tunnel was silent or open for too long.
    GoingAway = 1001,
    /// A peer does not keep the protocol.
    Protocol = 1002,
    /// A message is longer than allowed.
    TooBig = 1009,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Its frames are masked.
    Client,
    /// Its frames are not.
    Server,
}

/// How one side breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// A client's frame is not masked, or a server's is (section 5.1).
    Mask,
    /// A reserved bit is set, and no extension was agreed on (section 5.2).
    ReservedBit,
    /// An opcode that means nothing (section 5.2).
    Opcode,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    Control,
    /// A continuation of nothing, or a new message within another (section 5.4).
    Fragment,
    /// A length that is not written in the fewest bytes, or has its highest bit set (section 5.2).
    Length,
    /// A message is longer than allowed.
    TooBig,
}

/// Follows the frames of one direction: their headers only, however the bytes are cut.
#[derive(Debug)]
pub struct Frames {
    sender: Sender,
    /// Whether an extension was agreed on, which then gives the reserved bits their meaning.
    extended: bool,
    /// Bytes of one message, over all of its frames.
    limit: u64,
    head: [u8; HEAD],
    /// How much of the head is there.
    filled: usize,
    /// Bytes missing of the frame's content.
    missing: u64,
    /// Bytes so far of a message that is not finished.
    message: Option<u64>,
    closed: bool,
}

/// Longest head of a frame: two bytes, eight of length, four of mask.
const HEAD: usize = 14;
/// Longest content of a control frame.
const CONTROL: u64 = 125;

// === impl Frames ===

impl Frames {
    /// Of a connection that has just been agreed on.
    pub fn new(sender: Sender, extended: bool, limit: u64) -> Self {
        Self { sender, extended, limit, head: [0; HEAD], filled: 0, missing: 0, message: None, closed: false }
    }

    /// Follows these bytes, which come after those before.
    ///
    /// # Errors
    /// How the sender breaks the protocol. Nothing of these bytes is to be passed on then.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), FrameFault> {
        while !bytes.is_empty() {
            if self.missing > 0 {
                let there = usize::try_from(self.missing).unwrap_or(usize::MAX).min(bytes.len());
                self.missing -= there as u64;
                bytes = bytes.get(there..).unwrap_or_default();
                continue;
            }
            let [byte, rest @ ..] = bytes else { break };
            bytes = rest;
            if let Some(slot) = self.head.get_mut(self.filled) {
                *slot = *byte;
            }
            self.filled += 1;
            self.look()?;
        }
        Ok(())
    }

    /// Whether a frame of our own could stand here.
    pub fn is_between(&self) -> bool {
        self.filled == 0 && self.missing == 0
    }

    /// Whether the sender has said that it ends the connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Looks at as much of a head as there is: what is wrong is said with the byte that proves it.
    fn look(&mut self) -> Result<(), FrameFault> {
        let [first, second, rest @ ..] = &self.head;
        let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
        let control = opcode & 8 != 0;
        if self.filled == 1 {
            return match opcode {
                _ if first & 0x70 != 0 && !self.extended => Err(FrameFault::ReservedBit),
                3..=7 | 11..=15 => Err(FrameFault::Opcode),
                8..=10 if !last => Err(FrameFault::Control),
                0 if self.message.is_none() => Err(FrameFault::Fragment),
                1 | 2 if self.message.is_some() => Err(FrameFault::Fragment),
                _ => Ok(()),
            };
        }
        let masked = second & 0x80 != 0;
        if masked != (self.sender == Sender::Client) {
            return Err(FrameFault::Mask);
        }
        let (width, least) = match second & 0x7f {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        if control && width > 0 {
            return Err(FrameFault::Control);
        }
        if self.filled < 2 + width + if masked { 4 } else { 0 } {
            return Ok(());
        }
        let length = match width {
            0 => u64::from(second & 0x7f),
            _ => rest.iter().take(width).fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        if length < least || length >> 63 != 0 {
            return Err(FrameFault::Length);
        }
        if control {
            debug_assert!(length <= CONTROL, "wider lengths were refused");
            self.closed |= opcode == 8;
        } else {
            let message = self.message.unwrap_or_default().saturating_add(length);
            if message > self.limit {
                return Err(FrameFault::TooBig);
            }
            self.message = (!last).then_some(message);
        }
        self.filled = 0;
        self.missing = length;
        Ok(())
    }
}

// === impl FrameFault ===

impl FrameFault {
    /// Stable kebab-case word for events.
    pub fn code(self) -> &'static str {
        match self {
            Self::Mask => "websocket-mask",
            Self::ReservedBit => "websocket-reserved-bit",
            Self::Opcode => "websocket-opcode",
            Self::Control => "websocket-control-frame",
            Self::Fragment => "websocket-fragment",
            Self::Length => "websocket-length",
            Self::TooBig => "websocket-message-too-big",
        }
    }

    /// What the peers are told.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::TooBig => CloseCode::TooBig,
            _ => CloseCode::Protocol,
        }
    }
}

// === handshake ===

/// Whether this is the base64 of 16 bytes, as `Sec-WebSocket-Key` must be (section 4.1).
pub fn is_key(value: &[u8]) -> bool {
    match value {
        [text @ .., last, b'=', b'='] => {
            text.len() == 21
                && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
                // Of the last digit only two bits are used.
                && matches!(last, b'A' | b'Q' | b'g' | b'w')
        }
        _ => false,
    }
}

/// A frame that says the connection ends. A client's is masked with a key of zeros: the content is the gateway's own.
pub fn close_frame(sender: Sender, code: CloseCode) -> Vec<u8> {
    let [high, low] = (code as u16).to_be_bytes();
    match sender {
        Sender::Client => vec![0x88, 0x82, 0, 0, 0, 0, high, low],
        Sender::Server => vec![0x88, 2, high, low],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(limit: u64, bytes: &[u8]) -> Result<Frames, FrameFault> {
        let mut frames = Frames::new(Sender::Client, false, limit);
        frames.follow(bytes)?;
        Ok(frames)
    }

    /// A masked frame with this many bytes of content.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            126..65536 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        frame.resize(frame.len() + length, b'x');
        frame
    }

    #[test]
    fn frames_of_every_length_are_followed_to_their_end() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
            let bytes = frame(0x82, length);
            let whole = client(u64::MAX, &bytes).expect("valid");
            assert!(whole.is_between(), "{length}");
            let short = client(u64::MAX, &bytes[..bytes.len() - 1]).expect("valid");
            assert!(!short.is_between(), "{length}");
        }
    }

    #[test]
    fn bytes_mean_the_same_however_they_are_cut() {
        let mut bytes = frame(0x01, 200);
        bytes.extend(frame(0x89, 3));
        bytes.extend(frame(0x80, 10));
        let mut frames = Frames::new(Sender::Client, false, 210);
        for byte in bytes.chunks(1) {
            frames.follow(byte).expect("valid");
        }
        assert!(frames.is_between() && !frames.is_closed());
        frames.follow(&frame(0x88, 2)).expect("valid");
        assert!(frames.is_closed());
    }

    #[test]
    fn a_message_is_limited_over_all_its_frames_and_control_frames_are_not_of_it() {
        let mut bytes = frame(0x01, 60);
        bytes.extend(frame(0x89, 100));
        bytes.extend(frame(0x80, 40));
        assert!(client(100, &bytes).is_ok());
        assert_eq!(client(99, &bytes).unwrap_err(), FrameFault::TooBig);
        // The next message begins anew.
        let two = [frame(0x81, 100), frame(0x81, 100)].concat();
        assert!(client(100, &two).is_ok());
    }

    #[test]
    fn each_fault_is_found() {
        let faults = [
            (vec![0x81, 0x01], FrameFault::Mask),
            (vec![0xc1], FrameFault::ReservedBit),
            (vec![0x83], FrameFault::Opcode),
            (vec![0x8b], FrameFault::Opcode),
            (vec![0x09], FrameFault::Control),
            (vec![0x89, 0x80 | 126], FrameFault::Control),
            (vec![0x80], FrameFault::Fragment),
            ([frame(0x01, 1), vec![0x81]].concat(), FrameFault::Fragment),
            (vec![0x81, 0x80 | 126, 0, 125, 0, 0, 0, 0], FrameFault::Length),
            (vec![0x81, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], FrameFault::Length),
        ];
        for (bytes, fault) in faults {
            assert_eq!(client(u64::MAX, &bytes).map(drop), Err(fault), "{bytes:x?}");
        }
        let mut server = Frames::new(Sender::Server, true, 10);
        assert_eq!(server.follow(&[0xc1, 1, b'x']), Ok(()), "an extension gives the bits their meaning");
        assert_eq!(server.follow(&[0x81, 0x81]), Err(FrameFault::Mask));
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZR=="] {
            assert!(!is_key(bad.as_bytes()), "{bad}");
        }
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZ\xff=="));
    }

    #[test]
    fn a_close_frame_of_ours_is_valid() {
        for sender in [Sender::Client, Sender::Server] {
            let mut frames = Frames::new(sender, false, 0);
            assert_eq!(frames.follow(&close_frame(sender, CloseCode::TooBig)), Ok(()));
            assert!(frames.is_closed() && frames.is_between());
        }
    }
}
