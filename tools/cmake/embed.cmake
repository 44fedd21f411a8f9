# cmake -D OUT=FILE -D FILES="a.yaml;b.yaml" -D HEADER=room/x.hpp -D FUNCTION=f -P embed.cmake:
# writes a C++ source that holds the files as text, returned by `f` as the header declares it. Raw
# strings of at most 8 KiB each: the standard promises 64 KiB a literal.
set(rows "")
foreach(file IN LISTS FILES)
  cmake_path(GET file FILENAME name)
  file(READ "${file}" text)
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8192 piece)
    string(APPEND pieces "\n    R\"weft(${piece})weft\"")
    math(EXPR at "${at} + 8192")
  endwhile()
  string(APPEND rows "        {\"${name}\",${pieces}},\n")
endforeach()
file(WRITE "${OUT}" "// Written by embed.cmake.
#include \"${HEADER}\"

namespace weft {

std::vector<EmbeddedFile> ${FUNCTION}() {
    return {
${rows}    };
}

}  // namespace weft
")
