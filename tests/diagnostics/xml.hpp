// Whether a text is well-formed XML, as far as the reports use XML: elements, quoted attributes, text, the five
// entities.
#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace cow::test {

class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : text_(text) {}

  testing::AssertionResult is_well_formed() {
    while (at_ < text_.size() && error_.empty()) {
      if (text_[at_] == '<')
        read_tag();
      else
        read_letter("text");
    }
    if (error_.empty() && !open_.empty()) error_ = "no end of " + open_.back();
    if (error_.empty() && elements == 0) error_ = "no element";
    if (error_.empty()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << error_ << " before: " << text_.substr(at_, 80);
  }

  std::size_t elements = 0;

 private:
  void read_letter(const char* where) {
    const char c = text_[at_];
    if (c == '&') {
      const std::string_view rest = text_.substr(at_);
      for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) {
        if (!rest.starts_with(entity)) continue;
        at_ += entity.size();
        return;
      }
      error_ = "a bare & in " + std::string(where);
    } else if (c == '<' || (c < ' ' && c != '\n')) {
      error_ = "a letter that may not stand in " + std::string(where);
    } else {
      ++at_;
    }
  }

  std::string read_name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-'))
      ++at_;
    if (at_ == begin) error_ = "a name is missing";
    return std::string(text_.substr(begin, at_ - begin));
  }

  bool skip(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  void read_tag() {
    if (skip("</")) {
      const std::string name = read_name();
      if (open_.empty() || open_.back() != name || !skip(">"))
        error_ = "a wrong end of " + name;
      else
        open_.pop_back();
      return;
    }
    (void)skip("<");
    const std::string name = read_name();
    ++elements;
    while (error_.empty() && skip(" ")) read_attribute();
    if (skip("/>")) return;
    if (!skip(">")) error_ = "no end of the tag " + name;
    open_.push_back(name);
  }

  void read_attribute() {
    (void)read_name();
    if (!skip("=\"")) error_ = "no value";
    while (error_.empty() && at_ < text_.size() && text_[at_] != '"') read_letter("an attribute");
    if (!skip("\"")) error_ = "no end of a value";
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::string error_;
};

inline testing::AssertionResult is_xml(const std::string& text) { return XmlReader(text).is_well_formed(); }

}  // namespace cow::test
