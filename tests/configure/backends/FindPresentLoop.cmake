add_library(PresentLoop::PresentLoop INTERFACE IMPORTED)
set(PresentLoop_VERSION 1.2.3)
set(PresentLoop_FOUND TRUE)
