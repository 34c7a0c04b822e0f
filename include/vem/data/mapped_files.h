// Data that stay in their file are read by the system when they are used. A file that somebody cuts meanwhile would end
// the program with SIGBUS; vem reads zeros instead, remembers it, and this is where it is found out.
//
// The first file that is mapped installs a handler of SIGBUS for the process. Faults outside the files of vem go to the
// handler that was there before. A program that sets a handler of its own later keeps it; it should pass faults that
// are not its own on to the one which sigaction() gave back.
#pragma once

namespace vem {

/// Throws DataError that names the file and the place if a file that data lie in was cut, or could not be read, since
/// it was mapped: what was computed from it since then is worthless. Dataset::batch() and Dataset::subset() call this;
/// who keeps a batch calls it again when its work on the batch is done. Costs next to nothing.
void expect_mapped_files_whole();

}  // namespace vem
