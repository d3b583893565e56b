#include "config/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <set>
#include <sstream>

#include "base/text.hpp"

namespace bale::config {
namespace {

YamlMark mark_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

/// Ends the reading of a file at once, having told why.
struct StopReading {};

/// Builds the section from the parser's events. The events of the rest of the file are counted and dropped, so that
/// nothing is kept of it; the parser itself keeps no tree.
class SectionBuilder final : public YAML::EventHandler {
 public:
  SectionBuilder(const std::string& file, std::string_view section, std::vector<Finding>& findings)
      : file_(file), section_(section), findings_(findings) {}

  std::optional<YamlMember> take() { return std::move(found_); }
  void add(const YAML::Mark& mark, std::string message) {
    const YamlMark at = mark_of(mark);
    findings_.push_back({file_, "", std::move(message), at.line, at.column});
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 1) return;
    add(mark, "a second document begins here; one is read");
    throw StopReading();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (is_name_next()) return refuse_name(mark);
    put(mark, YamlNode::Kind::null);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (is_kept()) add(mark, "an alias cannot be used in this section; write the value itself");
    if (is_name_next())
      skip_member();
    else
      put(mark, YamlNode::Kind::null);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    const bool is_quoted = refuse_tag(mark, tag);
    if (is_name_next()) return take_name(mark, value);
    if (YamlNode* node = put(mark, YamlNode::Kind::scalar)) {
      node->text = value;
      node->is_quoted = is_quoted;
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::sequence);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::mapping);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  /// A sequence or mapping that has begun and not ended.
  struct Open {
    YamlNode::Kind kind;
    YamlNode* node;  ///< null: it is not kept
    bool is_top;     ///< the mapping that the file is
    bool is_name_next = true;
    bool is_member_kept = false;  ///< the value that follows the last name is kept
    std::string name;
    YamlMark name_mark;
    std::set<std::string> names;
  };

  bool is_name_next() const {
    return !open_.empty() && open_.back().kind == YamlNode::Kind::mapping && open_.back().is_name_next;
  }
  /// Whether what the next event tells belongs to the section.
  bool is_kept() const {
    if (open_.empty()) return false;
    const Open& in = open_.back();
    return in.is_top ? !in.is_name_next && in.is_member_kept : in.node != nullptr;
  }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor && is_kept()) add(mark, "an anchor cannot be used in this section");
  }
  /// Returns whether a scalar is quoted or tagged as a string.
  bool refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?") return false;
    if (tag != "!" && tag != "tag:yaml.org,2002:str" && is_kept())
      add(mark, fmt::format("the tag {} cannot be used in this section", escape_for_terminal(tag)));
    return true;
  }

  void refuse_name(const YAML::Mark& mark) {
    if (is_kept()) add(mark, "a name must be plain text");
    skip_member();
  }
  void skip_member() {
    open_.back().is_name_next = false;
    open_.back().is_member_kept = false;
  }
  void take_name(const YAML::Mark& mark, const std::string& name) {
    Open& in = open_.back();
    in.is_name_next = false;
    in.name = name;
    in.name_mark = mark_of(mark);
    in.is_member_kept = in.is_top ? name == section_ : in.node != nullptr;
    if (!in.is_top && in.node == nullptr) return;
    if (in.names.insert(name).second) return;
    add(mark, fmt::format("{} is given twice", escape_for_terminal(name)));
    in.is_member_kept = false;
  }

  /// Makes the node of a value where it is kept; null where it is not.
  YamlNode* put(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode node;
    node.kind = kind;
    node.mark = mark_of(mark);
    if (open_.empty()) {
      if (kind == YamlNode::Kind::mapping) return nullptr;
      add(mark, "the file is not a mapping (name: value)");
      throw StopReading();
    }
    Open& in = open_.back();
    const bool is_mapping = in.kind == YamlNode::Kind::mapping;
    if (is_mapping) in.is_name_next = true;
    if (is_mapping ? !in.is_member_kept : in.node == nullptr) return nullptr;
    if (in.is_top) {
      found_ = YamlMember{in.name, in.name_mark, std::move(node)};
      return &found_->value;
    }
    if (!is_mapping) return &in.node->elements.emplace_back(std::move(node));
    return &in.node->members.emplace_back(YamlMember{in.name, in.name_mark, std::move(node)}).value;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (open_.size() >= max_yaml_depth) {
      add(mark, fmt::format("nests more than {} levels deep", max_yaml_depth));
      throw StopReading();
    }
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    const bool is_top = open_.empty();
    if (is_name_next()) {
      refuse_name(mark);
      open_.push_back({kind, nullptr, false, true, false, {}, {}, {}});
      return;
    }
    YamlNode* node = put(mark, kind);
    open_.push_back({kind, node, is_top, true, false, {}, {}, {}});
  }

  const std::string& file_;
  const std::string_view section_;
  std::vector<Finding>& findings_;
  std::vector<Open> open_;
  std::optional<YamlMember> found_;
  int documents_ = 0;
};

}  // namespace

std::optional<YamlMember> read_yaml_section(std::string_view text, const std::string& file, std::string_view section,
                                            std::vector<Finding>& findings) {
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
    findings.push_back({file, "", "is not text in UTF-8"});
    return std::nullopt;
  }
  SectionBuilder builder(file, section, findings);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) continue;
    return builder.take();
  } catch (const StopReading&) {
    return std::nullopt;  // told by the builder
  } catch (const YAML::Exception& error) {
    builder.add(error.mark, fmt::format("is not YAML: {}", escape_for_terminal(error.msg)));
    return std::nullopt;
  }
}

}  // namespace bale::config
