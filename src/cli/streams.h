// The standard streams of the program, so that a training does not end because nobody listens any more.
#pragma once

namespace vem {

/// From here on, writing to standard error never fails: where the disk is full, the terminal is gone or the reader of a
/// pipe has left, messages are lost and the program goes on. A standard stream that is closed gets a descriptor that
/// refuses reads and writes, so that no file of ours is opened in its place. A pipe without a reader is an error of the
/// write (EPIPE) and no signal. Doing it twice does no harm.
void protect_standard_streams();

}  // namespace vem
