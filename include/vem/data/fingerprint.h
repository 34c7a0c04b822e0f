// Whether two data sets are the same, from a few characters that a checkpoint can hold.
#pragma once

#include <string>

#include "vem/data/dataset.h"

namespace vem {

/// A checksum (CRC-32) of the content of every column, of weights, of offsets and of the items' identities, as eight
/// hexadecimal digits. Of columns larger than 256 MiB, and of data on disk, only evenly spaced rows are read, so a
/// change between these goes unnoticed there.
std::string fingerprint(const Dataset& data);

}  // namespace vem
