// SPDX-License-Identifier: MIT
// value_toml.cc - TOML by toml++ behind one C function; no exception leaves it. L0.
// The shared library would bring four others into every process: two megabytes that stay resident.
#define TOML_HEADER_ONLY 1
// What its assertions say of a text, its errors say as well; a build with assertions would end the process.
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "lib/value_i.h"

namespace
{

// The library's streams swallow bad_alloc: a number is then "no value". The handler remembers.
thread_local bool out_of_memory;

[[noreturn]] void remember_memory()
{
	out_of_memory = true;
	throw std::bad_alloc();
}

[[maybe_unused]] const std::new_handler handler_before = std::set_new_handler(remember_memory);

struct walk {
	value_build *b;
	err *e;
};

int no_memory(err *e)
{
	return err_set(e, ERR_SYS_MEMORY, "no memory for the text");
}

int node(walk &w, const toml::node &n, value *v, unsigned depth);

// Members in the order of the text; the library has them in that of their keys.
int table(walk &w, const toml::table &t, value *v, unsigned depth)
{
	struct member {
		toml::source_position at;
		const toml::key *key;
		const toml::node *child;
	};
	std::vector<member> members;
	for (auto &&[key, child] : t)
		members.push_back({key.source().begin, &key, &child});
	std::sort(members.begin(), members.end(), [](const member &a, const member &b) {
		return std::make_pair(a.at.line, a.at.column) < std::make_pair(b.at.line, b.at.column);
	});
	v->type = VALUE_MAP;
	for (const member &m : members) {
		value *made;
		int r = value_map_add(v, m.key->data(), m.key->length(), m.at.line, &made, w.e);
		if (r == 0)
			r = node(w, *m.child, made, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int array(walk &w, const toml::array &a, value *v, unsigned depth)
{
	v->type = VALUE_LIST;
	for (auto &&child : a) {
		value *item;
		int r = value_list_add(v, &item, w.e);
		if (r == 0)
			r = node(w, child, item, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int node(walk &w, const toml::node &n, value *v, unsigned depth)
{
	v->line = n.source().begin.line;
	int r = value_count(w.b, depth, v->line, w.e);
	if (r < 0)
		return r;
	if (auto t = n.as_table())
		return table(w, *t, v, depth);
	if (auto a = n.as_array())
		return array(w, *a, v, depth);
	if (auto s = n.as_string())
		return value_set_string(v, s->get().data(), s->get().size(), w.e);
	if (auto b = n.as_boolean()) {
		v->type = VALUE_BOOL;
		v->boolean = b->get();
	} else if (auto i = n.as_integer()) {
		v->type = VALUE_INT;
		v->integer = i->get();
	} else if (auto d = n.as_floating_point()) {
		return value_set_real(v, d->get(), w.e);
	} else { // dates and times: their text
		std::ostringstream os;
		os.exceptions(std::ios::badbit); // else it swallows bad_alloc, and the text is cut
		n.visit([&os](auto &&x) {
			if constexpr (toml::is_date<decltype(x)> || toml::is_time<decltype(x)> ||
				      toml::is_date_time<decltype(x)>)
				os << x.get();
		});
		std::string text = os.str();
		return value_set_string(v, text.data(), text.size(), w.e);
	}
	return 0;
}

// Behind the string that begins at `at`; an unfinished one on a line ends with it.
size_t behind_string(std::string_view s, size_t at)
{
	char quote = s[at];
	bool basic = quote == '"', many = s.substr(at, 3) == std::string(3, quote);
	for (at += many ? 3 : 1; at < s.size(); at++) {
		if (basic && s[at] == '\\')
			at++;
		else if (!many && (s[at] == quote || s[at] == '\n'))
			return at + 1;
		else if (many && s.substr(at, 3) == std::string(3, quote)) {
			for (at += 3; at < s.size() && s[at] == quote;) // two may stand before the last three
				at++;
			return at;
		}
	}
	return s.size();
}

// The place of a byte beyond ASCII outside strings and comments, which TOML 1.0 does not have; the library's behaviour
// is undefined on some of them.
size_t stray_byte(std::string_view s)
{
	size_t at = s.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
	while (at < s.size()) {
		if (s[at] == '#')
			at = std::min(s.find('\n', at), s.size());
		else if (s[at] == '"' || s[at] == '\'')
			at = behind_string(s, at);
		else if (static_cast<unsigned char>(s[at]) >= 0x80)
			return at;
		else
			at++;
	}
	return std::string_view::npos;
}

} // namespace

extern "C" int value_parse_toml(value_build *b, const char *text, size_t len, value *ret, err *e)
try {
	out_of_memory = false;
	std::string_view all(text, len);
	if (size_t at = stray_byte(all); at < len) {
		unsigned line = 1 + static_cast<unsigned>(std::count(text, text + at, '\n'));
		return err_at(e, ERR_TEXT_SYNTAX, line,
			      "line %u: letters beyond ASCII stand in quotes; a bare key has A-Z a-z 0-9 _ -", line);
	}
	toml::table parsed = toml::parse(all);
	walk w = {b, e};
	ret->line = 1;
	int r = value_count(b, 0, 1, e);
	if (r == 0)
		r = table(w, parsed, ret, 0);
	return out_of_memory ? no_memory(e) : r;
} catch (const toml::parse_error &why) {
	if (out_of_memory)
		return no_memory(e);
	unsigned line = why.source().begin.line;
	size_t lines = 1;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	std::string what(why.description());
	// What is wrong on the last line, or that the end came too early, more text may cure.
	*b->unfinished = line >= lines || what.find("end-of-file") != std::string::npos;
	return err_at(e, ERR_TEXT_SYNTAX, line, "line %u: %s", line, what.c_str());
} catch (...) { // std::bad_alloc; for the text of a parse_error the library itself ends the process
	return no_memory(e);
}
