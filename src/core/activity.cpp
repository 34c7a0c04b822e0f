#include "vem/core/activity.h"

#include <exception>

namespace vem {
namespace {

thread_local std::string t_failed;

}  // namespace

Activity::Activity(std::string words) : words_(std::move(words)), exceptions_(std::uncaught_exceptions()) {
  t_failed.clear();  // an exception before this one was dealt with
}

Activity::~Activity() {
  if (std::uncaught_exceptions() > exceptions_ && t_failed.empty()) t_failed.swap(words_);
}

std::string failed_activity() { return t_failed; }

}  // namespace vem
