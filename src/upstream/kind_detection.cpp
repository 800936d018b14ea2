#include "upstream/kind_detection.hpp"

#include <boost/json.hpp>

#include <new>

namespace penstock::upstream {

bool Answers(const KindQuestion& question, int status, std::string_view body) noexcept {
  if (status != 200) return false;
  try {
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(body, error);
    if (error || !value.is_object()) return false;
    for (const std::string_view member : question.members) {
      if (!member.empty() && !value.get_object().contains(member)) return false;
    }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace penstock::upstream
