//! The loop that reads: bytes in, messages to the order layer, nothing else.
//!
//! It takes the place of tower-lsp's own `Server`, which stops for good at the first message it can't
//! decode, and whose concurrency limit lets waiting requests stop the reader.

use tokio::io::AsyncReadExt;
use tower::Service;
use tower_lsp::jsonrpc::{Request, Response};

use super::frame::{Frame, Frames};
use super::order::Order;
use super::stdio::Input;

/// Reads until `exit` or the end of the input. The actor ends the process.
pub(crate) async fn serve<S>(mut input: Input, mut order: Order<S>)
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
{
    let mut frames = Frames::default();
    loop {
        let end = !matches!(input.read_buf(frames.buffer()).await, Ok(1..));
        if end {
            return order.end("end_of_input");
        }
        while let Some(frame) = frames.next() {
            match frame {
                Frame::Body(body) => order.take(body),
                Frame::Garbage => order.garbage(),
                Frame::Oversized => order.oversized(),
            }
            if order.has_ended() {
                return;
            }
        }
    }
}
