// The little SVG that reports are drawn with. Text is escaped and cut to what its box holds.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace cow {

/// Text as it may stand in XML; control characters, which may not, become spaces, and so do bytes that are no ASCII:
/// names may be in any encoding.
inline std::string xml_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&apos;";
        break;
      default:
        result += c >= ' ' && c <= '~' ? c : ' ';
    }
  }
  return result;
}

class Svg {
 public:
  static constexpr double letter_width = 6.6;  // of 11-pixel monospace letters

  Svg(double width, double height) {
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) +
            "\" width=\"" + number(width) + "\" height=\"" + number(height) +
            "\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"11\">\n<rect width=\"100%\" "
            "height=\"100%\" fill=\"#fff\"/>\n";
  }

  /// A box with a tooltip, and as much of a label as it holds: none where that is not even three letters.
  void box(double x, double y, double width, double height, std::string_view fill, std::string_view tooltip,
           std::string_view label = {}) {
    text_ += "<g><title>" + xml_text(tooltip) + "</title><rect x=\"" + number(x) + "\" y=\"" + number(y) +
             "\" width=\"" + number(width) + "\" height=\"" + number(height) + "\" fill=\"" + std::string(fill) +
             "\"/>";
    const std::size_t letters =
        static_cast<std::size_t>((width - 6) / letter_width > 0 ? (width - 6) / letter_width : 0);
    if (!label.empty() && letters >= 3) add_label(x + 3, y + height / 2 + 4, cut_to(label, letters));
    text_ += "</g>\n";
  }

  void line_of_text(double x, double y, std::string_view text) { add_label(x, y, text), text_ += '\n'; }

  std::string finish() && { return std::move(text_) + "</svg>\n"; }

 private:
  static std::string number(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.1f", value);
    std::string result = text;
    if (result.ends_with(".0")) result.resize(result.size() - 2);
    return result;
  }
  static std::string cut_to(std::string_view text, std::size_t letters) {
    if (text.size() <= letters) return std::string(text);
    return std::string(text.substr(0, letters - 2)) + "..";
  }
  void add_label(double x, double y, std::string_view text) {
    text_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\">" + xml_text(text) + "</text>";
  }

  std::string text_;
};

}  // namespace cow
