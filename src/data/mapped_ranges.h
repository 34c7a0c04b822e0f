// The parts of the address space that are files of vem, for the handler of SIGBUS. Private to the readers.
#pragma once

#include <cstddef>
#include <string>

namespace vem {

struct MappedRange;

/// [start, start + bytes) is the beginning of `file`, which is closed in the end. From now on pages that can not be
/// read become zeros, and expect_mapped_files_whole() throws and names `owner`. The first call installs the handler.
MappedRange* add_mapped_range(void* start, size_t bytes, int file, const std::string& owner);
/// Before the range is unmapped. Damage that nobody has been told of is still told.
void remove_mapped_range(MappedRange* range);

}  // namespace vem
