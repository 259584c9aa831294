// Reading the form of a database, and what is said about files that do not have it.
#include <gtest/gtest.h>

#include <string>

#include "../../examples/what_if/stanza_reader.hpp"

namespace what_if {
namespace {

/// The message for a text that cannot be read; empty when it can.
std::string complaint(const std::string& text) {
  try {
    read_stanzas(text);
    return {};
  } catch (const DatabaseError& error) {
    return error.what();
  }
}

TEST(StanzaReader, reads_the_fields_that_matter_and_their_lines) {
  const std::string text =
      "\nPackage: a\nSection: misc\nVersion:1.0\nDESCRIPTION: x\n more\n .\nDepends:   b,  c  \n\n\n\n"
      "package: z\nversion: 2\n\n";
  const auto stanzas = read_stanzas(text);
  ASSERT_EQ(stanzas.size(), 2u);
  EXPECT_EQ(stanzas[0].line, 2u);
  EXPECT_EQ(stanzas[0].package.value, "a");
  EXPECT_EQ(stanzas[0].version.value, "1.0");
  EXPECT_EQ(stanzas[0].depends.value, "b,  c");
  EXPECT_EQ(stanzas[0].depends.line, 8u);
  EXPECT_FALSE(stanzas[0].provides);
  EXPECT_EQ(stanzas[1].package.value, "z");
  EXPECT_EQ(stanzas[1].line, 12u);
}

TEST(StanzaReader, follows_folded_fields_over_their_lines) {
  const auto stanzas = read_stanzas("Package: a\nDepends:\n b,\n\tc\nPre-Depends: d,\n e\nVersion: 1\n\n");
  EXPECT_EQ(stanzas[0].depends.value, "b,\n\tc");
  EXPECT_EQ(stanzas[0].pre_depends.value, "d,\n e");
  EXPECT_EQ(stanzas[0].version.value, "1");
}

TEST(StanzaReader, does_not_mistake_a_line_of_a_description_for_a_field) {
  const auto stanzas = read_stanzas("Package: a\nDescription: x\n Package: b\n Depends: c\n\n");
  EXPECT_EQ(stanzas[0].package.value, "a");
  EXPECT_FALSE(stanzas[0].depends);
}

TEST(StanzaReader, takes_lines_that_end_as_on_windows) {
  EXPECT_EQ(read_stanzas("Package: a\r\nVersion: 1\r\n\r\n")[0].version.value, "1");
}

TEST(StanzaReader, names_the_line_of_a_stanza_without_package) {
  EXPECT_EQ(complaint("Package: a\n\nVersion: 1\nStatus: install ok installed\n\n"),
            "line 3: a stanza without Package");
  EXPECT_EQ(complaint("Package:\nVersion: 1\n\n"), "line 1: a stanza without Package");
}

TEST(StanzaReader, notices_a_file_that_ends_within_a_line) {
  EXPECT_EQ(complaint("Package: a\n\nPackage: b\nDepen"), "line 4: the file ends within this line. Is it truncated?");
  EXPECT_EQ(complaint("Package: a\n\nPackage: b\nDepends: c\n x"),
            "line 5: the file ends within this line. Is it truncated?");
}

TEST(StanzaReader, notices_a_file_that_ends_within_a_stanza) {
  EXPECT_EQ(complaint("Package: a\n\nPackage: b\nDepends: c\n"),
            "line 4: the file ends within the stanza that starts on line 3 (b): no empty line follows it. Is the file "
            "truncated?");
}

TEST(StanzaReader, refuses_text_of_another_form) {
  EXPECT_EQ(complaint("Package: a\nno field\n\n"), "line 2: expected 'Field: value', found 'no field'");
  EXPECT_EQ(complaint("see: this\nnot a name: x\n\n"), "line 2: expected 'Field: value', found 'not a name: x'");
  EXPECT_EQ(complaint("\x7f" "ELF\x01\x02 and so on, for much longer than forty letters\n"),
            "line 1: expected 'Field: value', found '?ELF?? and so on, for much longer than f...'");
  EXPECT_EQ(complaint(" x\n\n"), "line 1: a continuation line with no field before it");
  EXPECT_EQ(complaint("Package: a\nVersion: 1\nPackage: b\n\n"), "line 3: a second Package in one stanza");
}

TEST(StanzaReader, refuses_a_file_without_packages) {
  EXPECT_EQ(complaint(""), "line 1: no package in the file");
  EXPECT_EQ(complaint("\n \n\n"), "line 1: no package in the file");
}

// Whatever byte a file is cut at, either the message has a line or all that is left are whole stanzas.
TEST(StanzaReader, reads_a_file_cut_anywhere_only_between_stanzas) {
  const std::string stanza = "Package: a\nVersion: 1\nDepends: b,\n c\n\n";
  const std::string whole = stanza + stanza + stanza;
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const std::string message = complaint(whole.substr(0, size));
    EXPECT_EQ(message.empty(), size % stanza.size() == 0) << size << ": " << message;
  }
}

}  // namespace
}  // namespace what_if
