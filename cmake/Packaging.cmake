# What `cmake --install` puts in place, and the Debian package that `cpack -G DEB` makes of the same.

# symbi finds symbid, and symbid symbi-spawn, beside itself, that symbi-init and symbi-engine, `symbi image build` symbi-guest: they
# all stay in one directory.
install(TARGETS symbid symbi symbi-spawn symbi-engine symbi-init symbi-guest RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
add_custom_command(TARGET symbi POST_BUILD VERBATIM
  COMMAND ${CMAKE_COMMAND} -E create_symlink symbi ${CMAKE_BINARY_DIR}/bin/symbiont)
install(FILES ${CMAKE_BINARY_DIR}/bin/symbiont DESTINATION ${CMAKE_INSTALL_BINDIR})

# Manual pages and the example configuration are printed by the programs' own tables.
set(generated "")
foreach(page symbi.1 symbid.8 symbi-spawn.8)
  set(out ${CMAKE_BINARY_DIR}/man/${page})
  add_custom_command(OUTPUT ${out} VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
    COMMAND ${CMAKE_SOURCE_DIR}/dist/man.sh ${CMAKE_BINARY_DIR}/bin ${CMAKE_SOURCE_DIR}/dist/man/${page}.in > ${out}
    DEPENDS symbi symbid dist/man.sh dist/man/${page}.in)
  list(APPEND generated ${out})
  string(REGEX MATCH "[0-9]$" section ${page})
  install(FILES ${out} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
set(out ${CMAKE_BINARY_DIR}/config.toml)
add_custom_command(OUTPUT ${out} VERBATIM
  COMMAND ${CMAKE_SOURCE_DIR}/dist/example-config.sh ${CMAKE_BINARY_DIR}/bin > ${out}
  DEPENDS symbid dist/example-config.sh)
list(APPEND generated ${out})
add_custom_target(generated ALL DEPENDS ${generated})
install(FILES ${out} README.md docs/TREE.md docs/ERRORS.md docs/CONFIG.md docs/METRICS.md docs/POLICY.md docs/SECRETS.md
  docs/AUDIT.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(DIRECTORY examples/agents DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY policies/defaults/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/policies)

set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES dist/symbi.bash DESTINATION ${completions} RENAME symbi)
install(FILES dist/symbi.bash DESTINATION ${completions} RENAME symbiont)
install(FILES dist/symbi.bash DESTINATION ${completions} RENAME symbid)

# The unit names the directory that the programs are installed to, which only the installation knows (--prefix).
install(CODE "
  set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  configure_file(\"${CMAKE_SOURCE_DIR}/dist/symbid.service.in\" \"${CMAKE_BINARY_DIR}/symbid.service\" @ONLY)")
install(FILES ${CMAKE_BINARY_DIR}/symbid.service DESTINATION lib/systemd/system)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME symbi)
set(CPACK_PACKAGE_VENDOR "Symbi")
set(CPACK_PACKAGE_CONTACT "The Symbi authors <symbi@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "fuse3")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, bash-completion")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "symbid runs agents on one machine and mounts a file tree in which agents,
their runs, limits, events and errors are files: every program that can
open a file is a client.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/dist/debian/postinst;${CMAKE_SOURCE_DIR}/dist/debian/prerm;${CMAKE_SOURCE_DIR}/dist/debian/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
