// cxxopts, set up: a comma does not separate values, since --set takes arrays and tables.
#pragma once

#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <cxxopts.hpp>
