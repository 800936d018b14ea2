#include "config/type.hpp"
#include "config/yaml_writer.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {
namespace {

constexpr const char* kIntroduction = R"(# Configuration

One YAML file holds the configuration. `penstock check --config FILE` reports every error of it at once as
`FILE:LINE:COL: path: message`; `penstock dump` prints what is in effect, `penstock schema` a JSON Schema for editors.
[`config/penstock.yaml`](../config/penstock.yaml) has every key with its default, [`config/examples`](../config/examples)
complete files for common fleets. This page is generated from the tables in `src/config/tables_*.cpp`.

* **Keys.** An unknown key, a key given twice and a key without a value are errors. Keys that are left out have their default.
* **Durations** are a whole number and `us`, `ms`, `s`, `m` or `h`; **sizes** a whole number and `B`, `KiB`, `MiB` or `GiB`;
  **rates** a size and `/s`. A number without a unit is an error, except `0`.
* **Secrets** are written inline, with `${NAME}` from the environment (anywhere in the text; `$${` stands for `${`), or as
  `file:PATH`, whose last line end is cut. A variable that is not set, and a secret that resolves to nothing, are errors; a file
  that others than its owner and group may use is warned of. Secrets are shown as `***` everywhere.
* **Redis URLs** are secrets of the form `redis://HOST`, or `rediss://` for TLS, with `:PASSWORD@` or `USER:PASSWORD@` before the
  host if the server asks for it, and `:PORT` and `/DATABASE` behind it. `%`, `?` and `#` in user and password are written `%25`,
  `%3F` and `%23`, also in an environment variable. Only the password is hidden.
* **Addresses** are `IP:PORT`, `[IPV6]:PORT` or `unix:/PATH`; host names are not taken, because what they mean can change.
* **URLs** of endpoints are `http://` or `https://`, a host, a port (80 or 443 when left out) and, if every request path needs
  a prefix, that path. User information, queries and fragments are errors.
* **Names** of models are at most 256 bytes of visible ASCII without `"` and `\`; those of clusters, endpoints and zones 128.
  Model names and aliases are unique together; an endpoint name means one URL in all clusters.
* **Paths** are relative to the working directory of the process.
* **YAML.** The words `on` and `off` are text, also as the key `retry.on`; quote them where other programs read the file too,
  because older YAML takes them for booleans. One document in UTF-8; anchors and aliases are taken, tags are not. At most 16MiB, 64 levels, 500000 values with
  aliases counted in full, and 1MiB in one flow collection (`{...}`, `[...]`) or scalar.
* **Reload.** SIGHUP and `POST /admin/reload` apply a changed file as a whole or refuse it as a whole; a change of a key marked
  "restart" is refused by its name.
* **Exposure.** A listener on another than a loopback address serves everybody who reaches it. The admin listener on such an
  address requires `admin.key`.
)";

std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) cell.append(c == '|' ? "\\|" : std::string(1, c));
  return cell;
}

std::string Bounds(const ScalarType& type, const Rules& rules) {
  if (type.bound == nullptr || (rules.min == Rules::kNoMin && rules.max == Rules::kNoMax)) return {};
  const bool text = type.facts().json == Facts::Json::kString && *type.bound->unit != '\0';
  const std::string high = type.bound->spell(rules.max) + type.bound->unit;
  if (rules.min == Rules::kNoMin || (text && rules.min == 0)) return ", at most " + high;
  return ", " + type.bound->spell(rules.min) + " to " + high;
}

std::string TypeText(const Type& type, const Rules& rules) {
  if (type.list != nullptr) return "list of " + TypeText(type.list->element, rules);
  const Facts facts = type.scalar->facts();
  std::string words;
  for (std::size_t i = 0; i < facts.words.size(); ++i)
    words.append(i == 0 ? "`" : ", `").append(facts.words[i]).append("`");
  if (!facts.words.empty() && !facts.open) return words;
  std::string text = std::string(facts.name) + Bounds(*type.scalar, rules);
  return words.empty() ? text : text + ", or " + words;
}

std::string DefaultText(const Field& field, const void* value) {
  if (field.rules.required) return "required";
  return "`" + SpellInline(field.type, value) + "`";
}

void Rows(const SectionType& section, const void* defaults, const std::string& prefix, std::string& out) {
  for (const Field& field : section.fields) {
    const void* value = field.Of(defaults);
    const std::string path = prefix + std::string(field.name);
    const SectionType* below = field.type.section;
    if (field.type.list != nullptr) below = field.type.list->element.section;
    if (below == nullptr) {
      out += "| `" + path + "` | " + Cell(TypeText(field.type, field.rules)) + " | " + Cell(DefaultText(field, value)) +
             " | " + (field.rules.restart ? "yes" : "") + " | " + Cell(field.help) + " |\n";
      continue;
    }
    const bool list = field.type.list != nullptr;
    const std::string shape =
        list ? "list, " + std::to_string(field.rules.count_min) + " to " + std::to_string(field.rules.count_max)
             : "section";
    out += "| `" + path + "` | " + shape + " | " + (field.rules.required ? "required" : "") + " | | " +
           Cell(field.help) + " |\n";
    Rows(*below, list ? below->defaults : value, path + (list ? "[]." : "."), out);
  }
}

}  // namespace

std::string ReferencePage() {
  std::string out = kIntroduction;
  for (const Field& field : ConfigSection().fields) {
    const bool list = field.type.list != nullptr;
    const SectionType& section = list ? *field.type.list->element.section : *field.type.section;
    const std::string name(field.name);
    out += "\n## " + name + "\n\n" + (list ? "A list: " : "A section: ") + std::string(field.help) + ".\n\n";
    out += "| key | type | default | restart | |\n|---|---|---|---|---|\n";
    Rows(section, list ? section.defaults : field.Of(ConfigSection().defaults), name + (list ? "[]." : "."), out);
  }
  return out;
}

}  // namespace penstock::config
